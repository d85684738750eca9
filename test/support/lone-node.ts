/** One whole node without a watchdog, built by `npm run build`, in front of a PostgreSQL. */
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import type { NodeStatus } from "../../src/wire/ipc/index.ts";
import { until } from "./loopback-cluster.ts";
import { freePorts } from "./ports.ts";
import type { PostgresCluster } from "./postgres.ts";
import { oracle, run, type Ended } from "./programs.ts";

const BIN = join(import.meta.dirname, "../../bin");

export interface LoneNodeOptions {
  readonly postgres: PostgresCluster;
  /** Lines of pgpool.conf; they may depend on where the node lives. */
  readonly config?: readonly string[] | ((place: NodePlace) => readonly string[]);
}

export interface NodePlace {
  /** Of its files; `pcppass` is one of them. */
  readonly home: string;
  readonly pcpPort: number;
}

export class LoneNode {
  readonly port: number;
  readonly pcpPort: number;
  /** Of its files and sockets. */
  readonly home: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  private constructor(home: string, ports: readonly [number, number], child: ChildProcess) {
    this.home = home;
    [this.port, this.pcpPort] = ports;
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once("exit", () => resolve());
    });
  }

  /** Resolves when it serves clients. */
  static async start({ postgres, config = [] }: LoneNodeOptions): Promise<LoneNode> {
    if (!existsSync(join(BIN, "../dist/pgpool.mjs"))) throw new Error('run "npm run build" first');
    const home = await mkdtemp("/tmp/pgquorum-node-");
    await chmod(home, 0o755);
    const [port = 0, pcpPort = 0] = await freePorts(2);
    const backends = postgres.servers.flatMap((server, id) => [
      `backend_hostname${id} = '127.0.0.1'`,
      `backend_port${id} = ${server.port}`,
      `backend_weight${id} = 1`,
    ]);
    const lines = [
      "listen_addresses = '127.0.0.1'",
      `port = ${port}`,
      `unix_socket_directories = '${home}'`,
      "pcp_listen_addresses = '127.0.0.1'",
      `pcp_port = ${pcpPort}`,
      `pcp_socket_dir = '${home}'`,
      `pid_file_name = '${join(home, "pgpool.pid")}'`,
      `work_dir = '${home}'`,
      "use_watchdog = off",
      "health_check_user = 'postgres'",
      "sr_check_user = 'postgres'",
      ...backends,
      ...(typeof config === "function" ? config({ home, pcpPort }) : config),
    ];
    await writeFile(join(home, "pgpool.conf"), `${lines.join("\n")}\n`);
    const hash = createHash("md5").update("pcp").digest("hex");
    await writeFile(join(home, "pcp.conf"), `pcp:${hash}\n`);
    await writeFile(join(home, "pcppass"), "*:*:pcp:pcp\n", { mode: 0o600 });
    const log = openSync(join(home, "log"), "a");
    const args = ["-n", "-f", join(home, "pgpool.conf")];
    const child = spawn(join(BIN, "pgpool"), args, {
      stdio: ["ignore", log, log],
      detached: true,
    });
    closeSync(log);
    const node = new LoneNode(home, [port, pcpPort], child);
    try {
      await until("the node serves clients and knows its primary", async () => {
        if (child.exitCode !== null) throw new Error(`the node ended: ${node.log}`);
        if (!node.log.includes("serves clients")) return false;
        return (await node.status()).view.primaryId !== null;
      });
    } catch (error) {
      await node.remove();
      throw error;
    }
    return node;
  }

  get log(): string {
    return readFileSync(join(this.home, "log"), "utf8");
  }

  async status(): Promise<NodeStatus> {
    return JSON.parse((await this.ask("status", "--json")).stdout) as NodeStatus;
  }

  /** Runs a command of `pgquorum` on it. */
  async ask(command: string, ...args: readonly string[]): Promise<Ended> {
    const file = join(this.home, "pgpool.conf");
    const ended = await run(join(BIN, "pgquorum"), [command, "-f", file, ...args]);
    if (ended.exitCode !== 0) throw new Error(`pgquorum ${command}: ${ended.stderr}${this.log}`);
    return ended;
  }

  /** Runs one of Pgpool-II's own pcp_* programs on it. */
  async pcp(name: string, ...args: readonly string[]): Promise<Ended> {
    const where = ["-h", "127.0.0.1", "-p", String(this.pcpPort), "-U", "pcp", "-w"];
    const env = { PCPPASSFILE: join(this.home, "pcppass") };
    return await run(oracle(name), [...where, ...args], { env });
  }

  /** SIGHUP to the supervisor, which tells its workers. */
  reload(): void {
    this.#child.kill("SIGHUP");
  }

  async client(own: pg.ClientConfig = {}): Promise<pg.Client> {
    const where = { host: "127.0.0.1", port: this.port, user: "postgres", database: "bench" };
    const client = new pg.Client({ ...where, ...own });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }

  /** Asked politely: `SIGTERM` waits for clients, `SIGINT` does not. */
  signal(signal: "SIGTERM" | "SIGINT"): void {
    this.#child.kill(signal);
  }

  get ended(): Promise<void> {
    return this.#ended;
  }

  async remove(): Promise<void> {
    if (process.env.PGQUORUM_SHOW_LOG) process.stderr.write(`\n${this.log}`);
    if (this.#child.pid !== undefined && this.#child.exitCode === null) {
      try {
        process.kill(-this.#child.pid, "SIGKILL");
      } catch {
        // It has ended already.
      }
      await this.#ended;
    }
    await rm(this.home, { recursive: true, force: true });
  }
}
