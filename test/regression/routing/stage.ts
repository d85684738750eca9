/**
 * What is compared: the real Pgpool-II and pgquorum, with the same lines of pgpool.conf, in front of the
 * same primary and two standbys. Each lane (a product in one protocol) has a database of its own, made
 * anew for each configuration, so that all lanes find the same and none disturbs another.
 */
import { readFileSync } from "node:fs";
import { chmod, chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { Server, type Account } from "../../../bench/processes.ts";
import { until } from "../../support/loopback-cluster.ts";
import { freePorts } from "../../support/ports.ts";
import { startPostgres, type PostgresCluster } from "../../support/postgres.ts";
import { oracle, run } from "../../support/programs.ts";
import type { Configuration } from "./configurations.ts";
import type { Protocol } from "./corpus.ts";
import { LOG_SETTINGS } from "./server-logs.ts";

export const PRODUCTS = ["pgpool2", "pgquorum"] as const;
export type ProductName = (typeof PRODUCTS)[number];

export interface Lane {
  readonly product: ProductName;
  readonly protocol: Protocol;
  readonly port: number;
  readonly database: string;
}

export const USER = "postgres";
/** Two standbys, so that it matters which of them is chosen. */
const STANDBYS = 2;
const CHILDREN = 12;
/**
 * Pgpool-II's processes keep what they once read in the catalogs, and a process that was first asked for
 * a function with a schema looks for all others in that one: a new process for each session answers
 * alike in each run.
 */
const OWN_LINES: Readonly<Record<ProductName, readonly string[]>> = {
  pgpool2: ["child_max_connections = 1", "enable_shared_relcache = off"],
  pgquorum: ["num_workers = 1"],
};
const BASE = "routing_base";

export class Stage {
  readonly postgres: PostgresCluster;
  readonly #directory: string;
  readonly #account: Account | null;
  readonly #root: string;
  /** The products that run. */
  readonly #servers = new Set<Server>();

  private constructor(o: {
    postgres: PostgresCluster;
    directory: string;
    account: Account | null;
    root: string;
  }) {
    this.postgres = o.postgres;
    this.#directory = o.directory;
    this.#account = o.account;
    this.#root = o.root;
  }

  /** @param root of the project. */
  static async start(root: string): Promise<Stage> {
    const directory = await mkdtemp(join(tmpdir(), "pgquorum-routing-"));
    await chmod(directory, 0o755);
    const postgres = await startPostgres({ standbys: STANDBYS, settings: LOG_SETTINGS });
    const stage = new Stage({ postgres, directory, account: await unprivileged(), root });
    try {
      await postgres.query(0, `create database ${BASE}`);
      const schema = readFileSync(join(root, "test/regression/routing/schema.sql"), "utf8");
      await postgres.query(0, schema, BASE);
      return stage;
    } catch (error) {
      await stage.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#stopProducts();
    await this.postgres.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Starts both products with this configuration, for as long as `use` takes. */
  async during<T>(
    configuration: Configuration,
    protocols: readonly Protocol[],
    use: (lanes: readonly Lane[]) => Promise<T>,
  ): Promise<T> {
    const databases: string[] = [];
    const ports = await freePorts(PRODUCTS.length * 2);
    const starts = PRODUCTS.map((product, at) =>
      this.#startProduct(product, configuration, ports.slice(at * 2)),
    );
    const started = Promise.allSettled(starts);
    try {
      const lanes = PRODUCTS.flatMap((product, at) =>
        protocols.map((protocol): Lane => {
          const database = `routing_${product}_${protocol}`;
          return { product, protocol, port: ports[at * 2] ?? 0, database };
        }),
      );
      for (const { database } of lanes) {
        await this.postgres.query(0, `create database ${database} template ${BASE}`);
        databases.push(database);
      }
      await Promise.all(starts);
      await this.postgres.caughtUp();
      await this.#letLag(configuration, lanes);
      return await use(lanes);
    } finally {
      if (configuration.lagging !== undefined) {
        await this.postgres.query(configuration.lagging, "select pg_wal_replay_resume()");
      }
      await started;
      await this.#stopProducts();
      for (const database of databases) await this.#drop(database);
    }
  }

  /** Makes a standby lag, and waits until both products have noticed. */
  async #letLag({ lagging }: Configuration, lanes: readonly Lane[]): Promise<void> {
    if (lagging === undefined) return;
    await this.postgres.query(lagging, "select pg_wal_replay_pause()");
    const write = "insert into t select i, repeat('x', 200) from generate_series(100000, 101000) i";
    const [{ database } = { database: BASE }] = lanes;
    await this.postgres.query(0, write, database);
    for (const { port } of lanes) {
      await until("the delay is seen", async () => {
        const delays = (await poolNodes(port)).map((node) => Number(node.replication_delay));
        const others = delays.filter((_, id) => id !== lagging);
        return (delays[lagging] ?? 0) > 50_000 && others.every((delay) => delay === 0);
      });
    }
  }

  /** Ends the server processes of a lane, past any product. */
  async endSessions(database: string): Promise<void> {
    const end = `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${database}'`;
    for (const node of this.postgres.servers.keys()) await this.postgres.query(node, end);
  }

  async #stopProducts(): Promise<void> {
    await Promise.all([...this.#servers].map((server) => server.stop()));
    this.#servers.clear();
  }

  /** What a script prepared for a second phase would keep its database for ever. */
  async #drop(database: string): Promise<void> {
    const prepared = await this.postgres.query(0, "select gid from pg_prepared_xacts", database);
    for (const { gid } of prepared) {
      await this.postgres.query(0, `rollback prepared '${String(gid)}'`, database);
    }
    await this.postgres.query(0, `drop database ${database} with (force)`);
  }

  /** @param ports for clients, and for PCP. */
  async #startProduct(
    product: ProductName,
    configuration: Configuration,
    [port = 0, pcpPort = 0]: readonly number[],
  ): Promise<void> {
    const directory = await mkdtemp(join(this.#directory, `${product}-`));
    const file = (name: string): string => join(directory, name);
    const isStreaming = configuration.roles === undefined;
    const lines = [
      ...this.#commonLines({ directory, port, pcpPort }),
      ...configuration.weights.map((weight, id) => `backend_weight${id} = ${weight}`),
      ...configuration.lines,
      ...(isStreaming ? ["backend_clustering_mode = 'streaming_replication'"] : []),
      ...OWN_LINES[product],
    ];
    await writeFile(file("pgpool.conf"), `${lines.join("\n")}\n`);
    for (const name of ["pool_hba.conf", "pcp.conf"]) await writeFile(file(name), "");
    if (this.#account !== null) await chown(directory, this.#account.uid, this.#account.gid);
    const program = product === "pgpool2" ? oracle("pgpool") : join(this.#root, "bin/pgpool");
    const files = ["-f", file("pgpool.conf"), "-a", file("pool_hba.conf"), "-F", file("pcp.conf")];
    const server = new Server({
      command: [program, "-n", ...files],
      account: this.#account,
      logFile: join(directory, "log"),
      stopSignal: "SIGINT",
    });
    this.#servers.add(server);
    const expected = configuration.roles ?? ["primary", "standby", "standby"];
    await until(`${product} serves, and knows its ${expected.join()}`, async () => {
      if (!server.isAlive) throw new Error(`${product} ended: ${server.lastWords()}`);
      const roles = (await poolNodes(port)).map(({ role }) => role);
      return roles.join() === expected.join();
    });
  }

  #commonLines(o: { directory: string; port: number; pcpPort: number }): readonly string[] {
    return [
      "listen_addresses = '127.0.0.1'",
      `port = ${o.port}`,
      `unix_socket_directories = '${o.directory}'`,
      "pcp_listen_addresses = '127.0.0.1'",
      `pcp_port = ${o.pcpPort}`,
      `pcp_socket_dir = '${o.directory}'`,
      `pid_file_name = '${o.directory}/pgpool.pid'`,
      `logdir = '${o.directory}'`,
      `work_dir = '${o.directory}'`,
      "pool_passwd = ''",
      `num_init_children = ${CHILDREN}`,
      "max_pool = 1",
      // Each session has server processes of its own, so nothing of the one before is left.
      "connection_cache = off",
      "sr_check_period = 1",
      `sr_check_user = '${USER}'`,
      "sr_check_database = 'postgres'",
      `health_check_user = '${USER}'`,
      "health_check_database = 'postgres'",
      "health_check_period = 1",
      "use_watchdog = off",
      "failover_on_backend_error = off",
      ...this.postgres.servers.flatMap((server, id) => [
        `backend_hostname${id} = '127.0.0.1'`,
        `backend_port${id} = ${server.port}`,
        `backend_flag${id} = 'DISALLOW_TO_FAILOVER'`,
      ]),
    ];
  }
}

interface PoolNode {
  readonly role: string;
  readonly replication_delay: string;
}

/** None while it does not serve. */
async function poolNodes(port: number): Promise<readonly PoolNode[]> {
  const client = new pg.Client({
    host: "127.0.0.1",
    port,
    user: USER,
    database: "postgres",
    connectionTimeoutMillis: 3000,
    query_timeout: 3000,
  });
  client.on("error", () => undefined); // The query that runs fails as well.
  try {
    await client.connect();
    return (await client.query<PoolNode>("show pool_nodes")).rows;
  } catch {
    return [];
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Whom Pgpool-II runs as; null: we are nobody special ourselves. */
async function unprivileged(): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null;
  const [uid, gid] = await Promise.all(
    ["-u", "-g"].map(async (flag) => Number((await run("id", [flag, "postgres"])).stdout)),
  );
  return { uid: uid ?? 0, gid: gid ?? 0 };
}
