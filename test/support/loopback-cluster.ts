/** Whole nodes with their watchdogs, in front of real servers, all on the loopback. */
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import type { NodeStatus } from "../../src/wire/ipc/index.ts";
import { freePorts } from "./ports.ts";
import { TcpRelay } from "./recording-relay.ts";
import {
  buildPrograms,
  NODE_PROGRAMS,
  oracle,
  programDirectory,
  run,
  testDirectory,
  type Ended,
} from "./programs.ts";
import { ThrowawayPostgres } from "./throwaway-postgres.ts";

export interface LoopbackOptions {
  /** Standbys of the one primary, which is server 0. */
  readonly standbysCount: number;
  readonly nodesCount: number;
  /** Lines of every node's pgpool.conf; `DIRECTORY` stands for the cluster's own. */
  readonly config: readonly string[];
  /** Each node reaches each server through a relay of its own, so that a test can part the two. */
  readonly hasRelays?: boolean;
}

interface Ports {
  readonly clients: number;
  readonly pcp: number;
  readonly watchdog: number;
  readonly heartbeat: number;
}

const PORTS_OF_A_NODE = 4;

export class LoopbackCluster {
  readonly directory: string;
  readonly servers: readonly ThrowawayPostgres[];
  readonly nodes: LoopbackNode[] = [];
  /** By node and server; empty without `hasRelays`. */
  readonly #relays: TcpRelay[][] = [];
  readonly #remove: () => Promise<void>;

  private constructor(
    directory: string,
    servers: readonly ThrowawayPostgres[],
    remove: () => Promise<void>,
  ) {
    this.directory = directory;
    this.servers = servers;
    this.#remove = remove;
  }

  static async start(options: LoopbackOptions): Promise<LoopbackCluster> {
    const programs = await programDirectory();
    const wrappers = [
      "pgpool",
      "pgquorum",
      "pcp_attach_node",
      "pcp_detach_node",
      "pcp_promote_node",
      "pcp_recovery_node",
    ];
    await buildPrograms(programs.path, NODE_PROGRAMS, wrappers);
    const directory = await testDirectory();
    const primary = await ThrowawayPostgres.start();
    const servers = [primary];
    for (let count = 0; count < options.standbysCount; count += 1) {
      servers.push(await ThrowawayPostgres.start({ standbyOf: primary }));
    }
    const cluster = new LoopbackCluster(directory.path, servers, async () => {
      await directory.remove();
      await programs.remove();
    });
    const free = await freePorts(options.nodesCount * PORTS_OF_A_NODE);
    const ports = Array.from({ length: options.nodesCount }, (_, id): Ports => {
      const [clients = 0, pcp = 0, watchdog = 0, heartbeat = 0] = free.slice(id * PORTS_OF_A_NODE);
      return { clients, pcp, watchdog, heartbeat };
    });
    if (options.hasRelays === true) await cluster.#openRelays(options.nodesCount);
    for (const [id, own] of ports.entries()) {
      writeNodeFiles(cluster, id, ports, options.config);
      const home = join(directory.path, `n${id}`);
      cluster.nodes.push(new LoopbackNode(programs.path, home, own.clients, own.pcp));
    }
    return cluster;
  }

  /** The node that leads with a quorum, as soon as one of those asked says so of itself. */
  async leader(among: readonly LoopbackNode[] = this.nodes): Promise<LoopbackNode> {
    let leader: LoopbackNode | undefined;
    await until("a node leads", async () => {
      for (const node of among) {
        const watchdog = (await node.status())?.watchdog;
        if (watchdog?.isLeader === true && watchdog.hasQuorum) leader = node;
      }
      return leader !== undefined;
    });
    if (leader === undefined) throw new Error("nobody leads");
    return leader;
  }

  /** How a node reaches a server; `mangle` may cut it. */
  relay(nodeId: number, serverId: number): TcpRelay {
    const relay = this.#relays[nodeId]?.[serverId];
    if (relay === undefined) throw new Error("the cluster has no relays");
    return relay;
  }

  serverPort(nodeId: number, serverId: number): number | undefined {
    return this.#relays[nodeId]?.[serverId]?.port ?? this.servers[serverId]?.port;
  }

  async #openRelays(nodesCount: number): Promise<void> {
    for (let nodeId = 0; nodeId < nodesCount; nodeId += 1) {
      const relays = this.servers.map(({ port }) => new TcpRelay(port));
      this.#relays.push(relays);
      for (const relay of relays) await relay.listen(0);
    }
  }

  async stop(): Promise<void> {
    for (const relay of this.#relays.flat()) await relay.close();
    for (const node of this.nodes) {
      node.kill();
      if (process.env.PGQUORUM_SHOW_LOG) process.stderr.write(`\n${node.log}`);
    }
    for (const server of this.servers) await server.remove();
    await this.#remove();
  }
}

export class LoopbackNode {
  readonly port: number;
  readonly #programs: string;
  /** Of its configuration and its work_dir. */
  readonly home: string;
  readonly #pcpPort: number;
  #child: ChildProcess | null = null;

  constructor(programs: string, home: string, port: number, pcpPort: number) {
    this.#programs = programs;
    this.home = home;
    this.port = port;
    this.#pcpPort = pcpPort;
    const log = openSync(join(home, "log"), "a");
    this.#child = spawn(join(programs, "bin/pgpool"), ["-n", "-f", join(home, "pgpool.conf")], {
      stdio: ["ignore", log, log],
      detached: true,
    });
    closeSync(log);
  }

  /** Runs a command of `pgquorum` on it. */
  async ask(command: string, ...args: readonly string[]): Promise<Ended> {
    const file = join(this.home, "pgpool.conf");
    return await run(join(this.#programs, "bin/pgquorum"), [command, "-f", file, ...args]);
  }

  /** Null while it does not answer. */
  async status(): Promise<NodeStatus | null> {
    const asked = await this.ask("status", "--json");
    return asked.exitCode === 0 ? (JSON.parse(asked.stdout) as NodeStatus) : null;
  }

  /** Debian's own client, or ours. */
  async pcp(name: string, backendId: number, from: "own" | "debian" = "own"): Promise<Ended> {
    const env = { PCPPASSFILE: join(this.home, "pcppass") };
    const where = ["-h", "127.0.0.1", "-p", String(this.#pcpPort), "-U", "pcp", "-w"];
    const program = from === "own" ? join(this.#programs, "bin", name) : oracle(name);
    return await run(program, [...where, "-n", String(backendId)], { env });
  }

  client(own: pg.ClientConfig = {}): pg.Client {
    const where = { host: "127.0.0.1", port: this.port, user: "postgres", database: "postgres" };
    const client = new pg.Client({ ...where, ...own });
    client.on("error", () => undefined);
    return client;
  }

  get log(): string {
    return readFileSync(join(this.home, "log"), "utf8");
  }

  get isRunning(): boolean {
    return this.#child !== null;
  }

  /** SIGKILL to supervisor, watchdog, workers and commands: they are one session. */
  kill(): void {
    this.#signal("SIGKILL");
    this.#child = null;
  }

  /** All its processes stand still until `thaw`. */
  freeze(): void {
    this.#signal("SIGSTOP");
  }

  thaw(): void {
    this.#signal("SIGCONT");
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child?.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // It has ended already.
    }
  }
}

/** Polls: what is waited for belongs to other processes. */
export async function until(
  what: string,
  condition: () => Promise<boolean> | boolean,
  limitMs = 30_000,
): Promise<void> {
  const deadlineMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}

function writeNodeFiles(
  cluster: LoopbackCluster,
  id: number,
  ports: readonly Ports[],
  config: readonly string[],
): void {
  const home = join(cluster.directory, `n${id}`);
  mkdirSync(home);
  const own = ports[id];
  if (own === undefined) throw new Error("no such node");
  const backends = cluster.servers.flatMap((server, backendId) => [
    `backend_hostname${backendId} = '127.0.0.1'`,
    `backend_port${backendId} = ${cluster.serverPort(id, backendId)}`,
    `backend_weight${backendId} = ${backendId === 0 ? 1 : 0}`,
    `backend_data_directory${backendId} = '${server.data}'`,
  ]);
  const nodes = ports.flatMap((node, nodeId) => [
    `hostname${nodeId} = '127.0.0.1'`,
    `pgpool_port${nodeId} = ${node.clients}`,
    `wd_port${nodeId} = ${node.watchdog}`,
    `heartbeat_hostname${nodeId} = '127.0.0.1'`,
    `heartbeat_port${nodeId} = ${node.heartbeat}`,
  ]);
  const lines = [
    "listen_addresses = '127.0.0.1'",
    `port = ${own.clients}`,
    `unix_socket_directories = '${home}'`,
    "pcp_listen_addresses = '127.0.0.1'",
    `pcp_port = ${own.pcp}`,
    `pcp_socket_dir = '${home}'`,
    `wd_ipc_socket_dir = '${home}'`,
    `pid_file_name = '${join(home, "pgpool.pid")}'`,
    `work_dir = '${home}'`,
    "num_workers = 1",
    "health_check_user = 'postgres'",
    "sr_check_user = 'postgres'",
    "use_watchdog = on",
    "wd_authkey = 'the key of this test'",
    ...nodes,
    ...backends,
    ...config.map((line) => line.replaceAll("DIRECTORY", cluster.directory)),
  ];
  writeFileSync(join(home, "pgpool.conf"), `${lines.join("\n")}\n`);
  writeFileSync(join(home, "pgpool_node_id"), `${id}\n`);
  const hash = createHash("md5").update("secret").digest("hex");
  writeFileSync(join(home, "pcp.conf"), `pcp:${hash}\n`);
  writeFileSync(join(home, "pcppass"), "*:*:pcp:secret\n", { mode: 0o600 });
}
