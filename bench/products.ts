/** The products that are measured: how each is set up, started, and found ready. */
import { existsSync } from "node:fs";
import { chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { fail, succeed, type Result } from "../src/base/index.ts";
import { freePort } from "../test/support/ports.ts";
import {
  loginOf,
  ownLines,
  pgbouncerUsers,
  pgbouncerIni,
  POOL_HBA,
  POOL_PASSWD,
  pgpoolConf,
  type Login,
} from "./config-texts.ts";
import type { ProductName, Setting } from "./plan.ts";
import { Server, type Account } from "./processes.ts";

const READY_WITHIN_MS = 30_000;
/** Pgpool-II keeps no connections to the database `postgres`, and PgBouncer would. */
export const DATABASE = "bench";
/** Enough that a balance of thirds shows a standby. */
const SPLIT_LOOKS_MAX = 60;
/** More clients than this at once are not needed to see who shares connections. */
const SHARE_LOOKS = 8;

export interface Product {
  readonly name: ProductName;
  readonly port: number;
  /** Null for PostgreSQL itself. */
  readonly server: Server | null;
}

export interface Surroundings {
  readonly setting: Setting;
  /** A new one that everyone may read. */
  readonly directory: string;
  /** Who runs programs that refuse to be root; null: we are nobody special ourselves. */
  readonly account: Account | null;
  /** The primary first, then as many standbys as the setting wants. */
  readonly backendPorts: readonly [number, ...number[]];
  /** What PostgreSQL keeps of the password. */
  readonly scramSecret: string;
  /** bin/pgpool of the sources as they are, and of another commit. */
  readonly programs: { readonly own: string; readonly against: string | null };
  /** For our own nodes beside what we have. */
  readonly nodeEnvironment: Readonly<Record<string, string>>;
  /** Called with every server as soon as it runs, before anything can fail. */
  readonly started: (server: Server) => void;
}

/** Where Debian's packages put the rivals. */
export const RIVALS = { pgbouncer: "/usr/sbin/pgbouncer", pgpool2: "/usr/sbin/pgpool" } as const;

/** Errors: why it cannot be measured, and what helps. */
export async function startProduct(
  name: ProductName,
  around: Surroundings,
): Promise<Result<Product, string>> {
  const { backendPorts, programs } = around;
  switch (name) {
    case "direct":
      return succeed({ name, port: backendPorts[0], server: null });
    case "pgbouncer":
      return startPgbouncer(around);
    case "pgpool2":
      return startPgpool2(around);
    case "pgquorum":
      return startPgquorum(name, programs.own, around);
    case "against":
      if (programs.against === null) return fail("there is no commit to measure");
      return startPgquorum(name, programs.against, around);
  }
}

function missing(program: string, packageName: string): Result<never, string> {
  return fail(`${program} is not installed: "apt-get install ${packageName}" brings it`);
}

async function startPgbouncer(around: Surroundings): Promise<Result<Product, string>> {
  if (!existsSync(RIVALS.pgbouncer)) return missing("PgBouncer", "pgbouncer");
  const { setting, backendPorts } = around;
  const directory = await ownDirectory("pgbouncer", around);
  const port = await freePort();
  const ini = join(directory, "pgbouncer.ini");
  await writeFile(join(directory, "users"), pgbouncerUsers(around.scramSecret));
  await writeFile(ini, pgbouncerIni({ directory, port, backendPort: backendPorts[0], setting }));
  const server = new Server({
    command: [RIVALS.pgbouncer, ini],
    account: around.account,
    logFile: join(directory, "log"),
    stopSignal: "SIGTERM",
  });
  around.started(server);
  return whenReady({ name: "pgbouncer", port, server }, around);
}

async function startPgpool2(around: Surroundings): Promise<Result<Product, string>> {
  if (!existsSync(RIVALS.pgpool2)) return missing("Pgpool-II", "pgpool2");
  const { directory, port, files } = await writePgpoolFiles("pgpool2", [], around);
  const server = new Server({
    command: [RIVALS.pgpool2, "-n", "-D", ...files],
    account: around.account,
    logFile: join(directory, "log"),
    stopSignal: "SIGINT",
  });
  around.started(server);
  return whenReady({ name: "pgpool2", port, server }, around);
}

async function startPgquorum(
  name: ProductName,
  program: string,
  around: Surroundings,
): Promise<Result<Product, string>> {
  const own = ownLines(around.setting);
  const { directory, port, files } = await writePgpoolFiles(name, own, around);
  const server = new Server({
    command: [program, "-n", "-D", ...files],
    account: null,
    logFile: join(directory, "log"),
    stopSignal: "SIGINT",
    env: around.nodeEnvironment,
  });
  around.started(server);
  const ready = await whenReady({ name, port, server }, around);
  if (!ready.ok || around.setting.poolMode === "session") return ready;
  const shares = await sharesConnections(port, loginOf(around.setting));
  return shares ? ready : fail("not available: it has no transaction mode");
}

async function writePgpoolFiles(
  name: ProductName,
  own: readonly string[],
  around: Surroundings,
): Promise<{ directory: string; port: number; files: readonly string[] }> {
  const directory = await ownDirectory(name, around);
  const { backendPorts, setting } = around;
  const [port, pcpPort] = [await freePort(), await freePort()];
  const [conf, hba, pcp] = ["pgpool.conf", "pool_hba.conf", "pcp.conf"].map((file) =>
    join(directory, file),
  ) as [string, string, string];
  await writeFile(conf, pgpoolConf({ directory, port, pcpPort, backendPorts, setting, own }));
  await writeFile(hba, POOL_HBA);
  await writeFile(pcp, "");
  const passwords = join(directory, "pool_passwd");
  await writeFile(passwords, POOL_PASSWD, { mode: 0o600 });
  if (around.account !== null) await chown(passwords, around.account.uid, around.account.gid);
  return { directory, port, files: ["-f", conf, "-a", hba, "-F", pcp] };
}

async function ownDirectory(name: ProductName, around: Surroundings): Promise<string> {
  const directory = join(around.directory, name);
  await mkdir(directory);
  if (around.account !== null) {
    await chown(directory, around.account.uid, around.account.gid);
  }
  return directory;
}

/** Ready is who answers a query, and who spreads reads when that is what it is for. */
async function whenReady(
  product: Product & { readonly server: Server },
  { setting, backendPorts }: Surroundings,
): Promise<Result<Product, string>> {
  const deadline = performance.now() + READY_WITHIN_MS;
  const isSpread = setting.standbys > 0;
  let reason = "";
  let looks = 0;
  while (performance.now() < deadline && looks < SPLIT_LOOKS_MAX) {
    if (!product.server.isAlive) return fail(`it ended at once: ${product.server.lastWords()}`);
    try {
      const answeredBy = await askOnce<number>(
        product.port,
        loginOf(setting),
        "select inet_server_port()",
      );
      if (!isSpread || answeredBy !== backendPorts[0]) return succeed(product);
      looks += 1;
      reason = "reads never reached a standby";
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    await sleep(100);
  }
  return fail(`it does not serve: ${reason}; its log: ${product.server.lastWords()}`);
}

/** Whether clients that stay are served by fewer server processes than they are. */
async function sharesConnections(port: number, login: Login): Promise<boolean> {
  const clients: pg.Client[] = [];
  const seen = new Set<unknown>();
  try {
    for (let count = 0; count < SHARE_LOOKS; count += 1) {
      const client = newClient(port, login);
      clients.push(client);
      await client.connect();
      seen.add(await firstValue(client, "select pg_backend_pid()"));
    }
    return seen.size < SHARE_LOOKS;
  } finally {
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  }
}

async function askOnce<T>(port: number, login: Login, sql: string): Promise<T | undefined> {
  const client = newClient(port, login);
  try {
    await client.connect();
    return (await firstValue(client, sql)) as T | undefined;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function newClient(port: number, { user, password }: Login): pg.Client {
  const client = new pg.Client({
    host: "127.0.0.1",
    port,
    user,
    password: password ?? undefined,
    database: DATABASE,
    connectionTimeoutMillis: 3000,
    query_timeout: 3000,
  });
  client.on("error", () => undefined); // The query that runs fails as well.
  return client;
}

async function firstValue(client: pg.Client, sql: string): Promise<unknown> {
  const { rows } = await client.query<unknown[]>({ text: sql, rowMode: "array" });
  return rows[0]?.[0];
}
