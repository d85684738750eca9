/** The products that are measured: how each is set up, started, and found ready. */
import { existsSync } from "node:fs";
import { chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { fail, succeed, type Result } from "../src/base/index.ts";
import { freePort } from "../test/support/throwaway-postgres.ts";
import { pgbouncerIni, pgpoolConf } from "./config-texts.ts";
import type { ProductName } from "./plan.ts";
import { Server, type Account } from "./processes.ts";

const READY_WITHIN_MS = 30_000;
/** Pgpool-II keeps no connections to the database `postgres`, and PgBouncer would. */
export const DATABASE = "bench";
/** Enough that a balance of halves shows both servers. */
const SPLIT_LOOKS_MAX = 60;

export interface Product {
  readonly name: ProductName;
  readonly port: number;
  /** Null for PostgreSQL itself. */
  readonly server: Server | null;
}

export interface Surroundings {
  /** Everyone may read it; it goes when the bench ends. */
  readonly directory: string;
  /** Who runs programs that refuse to be root; null: we are nobody special ourselves. */
  readonly account: Account | null;
  readonly primaryPort: number;
  /** Null when no product needs it. */
  readonly standbyPort: number | null;
  /** bin/pgpool of the sources as they are, and of another commit. */
  readonly programs: { readonly own: string; readonly against: string | null };
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
  const { primaryPort, standbyPort, programs } = around;
  const both = standbyPort === null ? [primaryPort] : [primaryPort, standbyPort];
  switch (name) {
    case "direct":
      return succeed({ name, port: primaryPort, server: null });
    case "pgbouncer":
      return startPgbouncer(name, "session", around);
    case "pgbouncer-tx":
      return startPgbouncer(name, "transaction", around);
    case "pgpool2":
      return startPgpool2(name, [primaryPort], around);
    case "pgpool2-split":
      return startPgpool2(name, both, around);
    case "pgquorum":
      return startPgquorum(name, programs.own, [primaryPort], around);
    case "pgquorum-split":
      return startPgquorum(name, programs.own, both, around);
    case "against":
      if (programs.against === null) return fail("there is no commit to measure");
      return startPgquorum(name, programs.against, [primaryPort], around);
  }
}

function missing(program: string, packageName: string): Result<never, string> {
  return fail(`${program} is not installed: "apt-get install ${packageName}" brings it`);
}

async function startPgbouncer(
  name: ProductName,
  poolMode: "session" | "transaction",
  around: Surroundings,
): Promise<Result<Product, string>> {
  if (!existsSync(RIVALS.pgbouncer)) return missing("PgBouncer", "pgbouncer");
  const directory = await ownDirectory(name, around);
  const port = await freePort();
  const ini = join(directory, "pgbouncer.ini");
  await writeFile(join(directory, "users"), '"postgres" ""\n');
  await writeFile(
    ini,
    pgbouncerIni({ directory, port, backendPort: around.primaryPort, poolMode }),
  );
  const server = new Server({
    command: [RIVALS.pgbouncer, ini],
    account: around.account,
    logFile: join(directory, "log"),
    stopSignal: "SIGTERM",
  });
  around.started(server);
  return whenReady({ name, port, server }, null);
}

async function startPgpool2(
  name: ProductName,
  backendPorts: readonly number[],
  around: Surroundings,
): Promise<Result<Product, string>> {
  if (!existsSync(RIVALS.pgpool2)) return missing("Pgpool-II", "pgpool2");
  const { directory, port, files } = await writePgpoolFiles(name, backendPorts, [], around);
  const server = new Server({
    command: [RIVALS.pgpool2, "-n", "-D", ...files],
    account: around.account,
    logFile: join(directory, "log"),
    stopSignal: "SIGINT",
  });
  around.started(server);
  return whenReady({ name, port, server }, backendPorts[1] ?? null);
}

async function startPgquorum(
  name: ProductName,
  program: string,
  backendPorts: readonly number[],
  around: Surroundings,
): Promise<Result<Product, string>> {
  // The rivals use one processor at a time for what is compared: so does one worker.
  const own = ["num_workers = 1"];
  const { directory, port, files } = await writePgpoolFiles(name, backendPorts, own, around);
  const server = new Server({
    command: [program, "-n", "-D", ...files],
    account: null,
    logFile: join(directory, "log"),
    stopSignal: "SIGINT",
  });
  around.started(server);
  return whenReady({ name, port, server }, backendPorts[1] ?? null);
}

async function writePgpoolFiles(
  name: ProductName,
  backendPorts: readonly number[],
  own: readonly string[],
  around: Surroundings,
): Promise<{ directory: string; port: number; files: readonly string[] }> {
  const directory = await ownDirectory(name, around);
  const [port, pcpPort] = [await freePort(), await freePort()];
  const [conf, hba, pcp] = ["pgpool.conf", "pool_hba.conf", "pcp.conf"].map((file) =>
    join(directory, file),
  ) as [string, string, string];
  await writeFile(conf, pgpoolConf({ directory, port, pcpPort, backendPorts, own }));
  await writeFile(hba, "host all all 127.0.0.1/32 trust\n");
  await writeFile(pcp, "");
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

/**
 * Ready is who answers a query, and who spreads reads when that is what it is for.
 *
 * @param standbyPort where reads must arrive, too.
 */
async function whenReady(
  product: Product & { readonly server: Server },
  standbyPort: number | null,
): Promise<Result<Product, string>> {
  const deadline = performance.now() + READY_WITHIN_MS;
  let reason = "";
  let looks = 0;
  while (performance.now() < deadline && looks < SPLIT_LOOKS_MAX) {
    if (!product.server.isAlive) return fail(`it ended at once: ${product.server.lastWords()}`);
    try {
      const answeredBy = await askWhoAnswers(product.port);
      if (standbyPort === null || answeredBy === standbyPort) return succeed(product);
      looks += 1;
      reason = "reads never reached the standby";
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    await sleep(100);
  }
  return fail(`it does not serve: ${reason}; its log: ${product.server.lastWords()}`);
}

/** The port of the server that a read came to. */
async function askWhoAnswers(port: number): Promise<number | null> {
  const client = new pg.Client({
    host: "127.0.0.1",
    port,
    user: "postgres",
    database: DATABASE,
    connectionTimeoutMillis: 3000,
    query_timeout: 3000,
  });
  client.on("error", () => undefined); // The query that runs fails as well.
  try {
    await client.connect();
    const { rows } = await client.query<{ port: number }>("select inet_server_port() as port");
    return rows[0]?.port ?? null;
  } finally {
    await client.end().catch(() => undefined);
  }
}
