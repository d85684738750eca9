/**
 * A throw-away PostgreSQL for tests: a primary and streaming standbys on loopback ports, in a
 * temporary directory, run by the user `postgres`. `stop` ends the servers and removes it all.
 */
import { execFile } from "node:child_process";
import { appendFile, chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { freePorts } from "./ports.ts";

const run = promisify(execFile);
const BIN = process.env.PGQUORUM_PG_BIN ?? "/usr/lib/postgresql/15/bin";

export interface PostgresServer {
  readonly port: number;
  readonly dataDirectory: string;
  readonly isPrimary: boolean;
}

export interface PostgresCluster {
  readonly directory: string;
  /** The primary first. */
  readonly servers: readonly PostgresServer[];
  /** Runs SQL on one server, past any proxy. */
  query(index: number, sql: string, database?: string): Promise<Record<string, unknown>[]>;
  /** Replaces pg_hba.conf on all servers and reloads them. Replication stays allowed. */
  setHba(lines: readonly string[]): Promise<void>;
  stopServer(index: number, mode?: "smart" | "fast" | "immediate"): Promise<void>;
  startServer(index: number): Promise<void>;
  promote(index: number): Promise<void>;
  /** Until the standbys have replayed what the primary wrote so far. */
  caughtUp(): Promise<void>;
  stop(): Promise<void>;
}

/** Runs a program of PostgreSQL as the user who owns the servers. */
export async function runAsPostgres(
  command: string,
  args: readonly string[],
  options: { readonly env?: Record<string, string>; readonly timeoutMs?: number } = {},
): Promise<{ stdout: string; stderr: string }> {
  const isRoot = process.getuid?.() === 0;
  const [program, all] = isRoot
    ? ["runuser", ["-u", "postgres", "--", command, ...args]]
    : [command, [...args]];
  return run(program, all, {
    cwd: "/",
    env: { ...process.env, ...options.env },
    timeout: options.timeoutMs ?? 60_000,
    maxBuffer: 64 * 1024 * 1024,
  });
}

export function programPath(name: string): string {
  return join(BIN, name);
}

const CONFIGURATION = `
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 16MB
fsync = off
wal_level = replica
max_wal_senders = 10
hot_standby = on
wal_receiver_status_interval = 1
log_min_messages = fatal
`;

const OPEN_HBA = ["host all all 127.0.0.1/32 trust"];

export async function startPostgres(o: {
  readonly standbys: number;
  /** More lines of postgresql.conf, for all servers. */
  readonly settings?: readonly string[];
}): Promise<PostgresCluster> {
  const directory = await mkdtemp("/tmp/pgquorum-pg-");
  await giveToPostgres(directory);
  const ports = await freePorts(o.standbys + 1);
  const servers = ports.map((port, index) => ({
    port,
    dataDirectory: join(directory, `node${index}`),
    isPrimary: index === 0,
  }));
  const cluster = new Cluster(directory, servers);
  try {
    await cluster.create(o.settings ?? []);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

class Cluster implements PostgresCluster {
  readonly directory: string;
  readonly servers: readonly PostgresServer[];

  constructor(directory: string, servers: readonly PostgresServer[]) {
    this.directory = directory;
    this.servers = servers;
  }

  async create(settings: readonly string[]): Promise<void> {
    const [primary, ...standbys] = this.servers as [PostgresServer, ...PostgresServer[]];
    const { dataDirectory, port } = primary;
    const init = [
      "-D",
      dataDirectory,
      "-A",
      "trust",
      "-U",
      "postgres",
      "-N",
      "--no-locale",
      "-E",
      "UTF8",
    ];
    await runAsPostgres(programPath("initdb"), init);
    const lines = [...settings, `port = ${port}\n`].join("\n");
    await appendFile(join(dataDirectory, "postgresql.conf"), CONFIGURATION + lines);
    await this.#writeHba(primary, OPEN_HBA);
    await this.startServer(0);
    for (const [index, standby] of standbys.entries()) {
      const source = ["-h", "127.0.0.1", "-p", `${port}`, "-U", "postgres"];
      const target = ["-D", standby.dataDirectory, "-R", "-c", "fast", "-X", "stream"];
      await runAsPostgres(programPath("pg_basebackup"), [...source, ...target]);
      await appendFile(
        join(standby.dataDirectory, "postgresql.conf"),
        `port = ${standby.port}\ncluster_name = 'node${index + 1}'\n`,
      );
      await this.startServer(index + 1);
    }
  }

  async query(
    index: number,
    sql: string,
    database = "postgres",
  ): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({
      host: "127.0.0.1",
      port: this.#server(index).port,
      user: "postgres",
      database,
    });
    client.on("error", () => undefined);
    await client.connect();
    try {
      const result = (await client.query(sql)) as pg.QueryResult | pg.QueryResult[];
      return (Array.isArray(result) ? (result.at(-1)?.rows ?? []) : result.rows) as Record<
        string,
        unknown
      >[];
    } finally {
      await client.end();
    }
  }

  async setHba(lines: readonly string[]): Promise<void> {
    for (const server of this.servers) {
      await this.#writeHba(server, lines);
      await runAsPostgres(programPath("pg_ctl"), ["reload", "-D", server.dataDirectory]);
    }
    // The postmaster reads the file when the signal arrives, which nothing announces.
    await new Promise((resolve) => {
      setTimeout(resolve, 200);
    });
  }

  async stopServer(index: number, mode: "smart" | "fast" | "immediate" = "fast"): Promise<void> {
    const { dataDirectory } = this.#server(index);
    await runAsPostgres(programPath("pg_ctl"), ["stop", "-D", dataDirectory, "-m", mode, "-w"]);
  }

  async startServer(index: number): Promise<void> {
    const { dataDirectory } = this.#server(index);
    const log = join(this.directory, `node${index}.log`);
    await runAsPostgres(programPath("pg_ctl"), [
      "start",
      "-D",
      dataDirectory,
      "-l",
      log,
      "-w",
      "-s",
    ]);
  }

  async promote(index: number): Promise<void> {
    const { dataDirectory } = this.#server(index);
    await runAsPostgres(programPath("pg_ctl"), ["promote", "-D", dataDirectory, "-w"]);
  }

  async caughtUp(): Promise<void> {
    const [{ lsn }] = (await this.query(0, "select pg_current_wal_lsn()::text as lsn")) as [
      { lsn: string },
    ];
    for (let index = 1; index < this.servers.length; index += 1) {
      const sql = `select pg_last_wal_replay_lsn() >= '${lsn}' as done`;
      for (let round = 0; ; round += 1) {
        const [row] = await this.query(index, sql);
        if (row?.["done"] === true) break;
        if (round > 200) throw new Error(`standby ${index} does not catch up`);
        await new Promise((resolve) => {
          setTimeout(resolve, 50);
        });
      }
    }
  }

  async stop(): Promise<void> {
    for (let index = this.servers.length - 1; index >= 0; index -= 1) {
      await this.stopServer(index, "immediate").catch(() => undefined);
    }
    await rm(this.directory, { recursive: true, force: true });
  }

  #server(index: number): PostgresServer {
    const server = this.servers[index];
    if (server === undefined) throw new Error(`there is no server ${index}`);
    return server;
  }

  async #writeHba(server: PostgresServer, lines: readonly string[]): Promise<void> {
    // The test's own superuser and replication stay allowed, whatever the test asks for.
    const text = [
      "host replication postgres 127.0.0.1/32 trust",
      "host all postgres 127.0.0.1/32 trust",
      ...lines,
    ];
    await writeFile(join(server.dataDirectory, "pg_hba.conf"), `${text.join("\n")}\n`);
  }
}

async function giveToPostgres(path: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { stdout } = await run("id", ["-u", "postgres"]);
  await chown(path, Number(stdout.trim()), -1);
}
