/**
 * One proxy worker on its own: forked with the channel that a supervisor would have, fed with a
 * ClusterView, its messages kept for the test to look at.
 */
import { fork, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import {
  LEASE_FOR_EVER_MS,
  type BackendView,
  type ClusterView,
  type FromWorker,
  type ToWorker,
} from "../../src/wire/ipc/index.ts";
import { ClientDoors } from "../../src/supervisor/driver/client-doors.ts";
import { freePorts } from "./ports.ts";
import type { PostgresCluster } from "./postgres.ts";

const DIST = process.env.PGQUORUM_DIST ?? join(import.meta.dirname, "../../dist");

export const workerProgram = join(DIST, "worker.mjs");

export interface WorkerOptions {
  readonly postgres: PostgresCluster;
  /** Lines of pgpool.conf. */
  readonly config?: readonly string[];
  readonly weights?: readonly number[];
  readonly hba?: readonly string[];
  readonly poolPasswd?: readonly string[];
}

export interface WorkerHarness {
  readonly port: number;
  /** Of the configuration files and the Unix socket. */
  readonly directory: string;
  /** What names its configuration files. */
  readonly environment: Readonly<Record<string, string>>;
  readonly child: ChildProcess;
  readonly messages: readonly FromWorker[];
  /** Standard error so far. */
  log(): string;
  view: ClusterView;
  tell(message: ToWorker): void;
  /** Sends a view that differs from the current one. */
  change(change: Partial<ClusterView>): void;
  /** Resolves when the worker goes by what was changed. */
  applied(): Promise<void>;
  client(options?: pg.ClientConfig): Promise<pg.Client>;
  /** Resolves when `test` is true of the messages, or rejects after some seconds. */
  message(test: (message: FromWorker) => boolean): Promise<FromWorker>;
  exited: Promise<number | null>;
  stop(): Promise<void>;
}

export async function startWorker(o: WorkerOptions): Promise<WorkerHarness> {
  if (!existsSync(workerProgram)) {
    throw new Error(`${workerProgram} is missing: run "npm run build" first`);
  }
  const directory = await mkdtemp("/tmp/pgquorum-worker-");
  await chmod(directory, 0o755);
  const [port] = (await freePorts(1)) as [number];
  const backends = o.postgres.servers.flatMap((server, id) => [
    `backend_hostname${id} = '127.0.0.1'`,
    `backend_port${id} = ${server.port}`,
    `backend_weight${id} = ${o.weights?.[id] ?? 1}`,
  ]);
  const base = [
    "listen_addresses = '127.0.0.1'",
    `port = ${port}`,
    `unix_socket_directories = '${directory}'`,
    "num_workers = 1",
    "use_watchdog = off",
    "backend_clustering_mode = streaming_replication",
  ];
  const lines = [...base, ...backends, ...(o.config ?? [])];
  await writeFile(join(directory, "pgpool.conf"), `${lines.join("\n")}\n`);
  await writeFile(join(directory, "pool_hba.conf"), `${(o.hba ?? []).join("\n")}\n`);
  await writeFile(join(directory, "pcp.conf"), "");
  await writeFile(join(directory, "pool_passwd"), `${(o.poolPasswd ?? []).join("\n")}\n`);
  const environment = {
    PGQUORUM_CONFIG: join(directory, "pgpool.conf"),
    PGQUORUM_HBA: join(directory, "pool_hba.conf"),
    PGQUORUM_PCP: join(directory, "pcp.conf"),
  };
  const child = fork(workerProgram, [], {
    env: { ...process.env, ...environment, PGQUORUM_WORKER: "1" },
    execArgv: [],
    stdio: ["ignore", "inherit", "pipe", "ipc"],
  });
  return started(child, { directory, environment, port, view: firstView(o) });
}

function firstView(o: WorkerOptions): ClusterView {
  const weights = o.postgres.servers.map((_, id) => o.weights?.[id] ?? 1);
  const total = weights.reduce((sum, weight) => sum + weight, 0) || 1;
  const backends = o.postgres.servers.map((server, id): BackendView => ({
    id,
    hostname: "127.0.0.1",
    port: server.port,
    weight: (weights[id] ?? 0) / total,
    state: "up",
    quarantined: false,
    stateChangedAt: Date.now(),
    pgStatus: "up",
    pgRole: server.isPrimary ? "primary" : "standby",
    replicationDelayBytes: 0,
    replicationDelayMs: 0,
    replicationState: server.isPrimary ? "" : "streaming",
    replicationSyncState: server.isPrimary ? "" : "async",
    stateReason: "",
    problem: null,
    timeline: null,
    systemIdentifier: null,
    walLsn: null,
    receivedLsn: null,
    selectCount: 0,
  }));
  return {
    index: 1,
    epoch: 1,
    primaryEpoch: 1,
    primaryId: 0,
    awaitsPrimary: false,
    drainingId: null,
    backends,
    maintenance: null,
    refusal: null,
    isStreaming: true,
    delayIsTime: false,
  };
}

async function started(
  child: ChildProcess,
  o: Pick<WorkerHarness, "directory" | "environment" | "port" | "view">,
): Promise<WorkerHarness> {
  const doors = await ClientDoors.open({
    config: {
      port: o.port,
      listen_addresses: ["127.0.0.1"],
      unix_socket_directories: [o.directory],
      unix_socket_permissions: 0o777,
      num_init_children: 32,
      listen_backlog_multiplier: 2,
    },
    log: { write: () => undefined },
    onClient: (client) => child.send({ type: "client" }, client),
    wantedIo: process.env.PGQUORUM_IO,
  });
  if (!doors.ok) throw new Error(doors.error.message);
  const messages: FromWorker[] = [];
  let errors = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
    if (process.env.PGQUORUM_SHOW_LOG) process.stderr.write(chunk);
  });
  child.on("message", (message: FromWorker) => messages.push(message));
  const exited = new Promise<number | null>((resolve) => {
    child.once("exit", (code) => resolve(code));
  });
  const harness: WorkerHarness = {
    port: o.port,
    directory: o.directory,
    environment: o.environment,
    child,
    messages,
    view: o.view,
    exited,
    log: () => errors,
    tell(message) {
      // As a supervisor that stops.
      if (message.type === "stop") doors.value.close();
      child.send(message);
    },
    change(change) {
      const { index, epoch } = this.view;
      this.view = { ...this.view, ...change, index: index + 1, epoch: epoch + 1 };
      this.tell({ type: "view", view: this.view });
    },
    async applied() {
      const { index } = this.view;
      await this.message((one) => one.type === "applied" && one.index === index);
    },
    async client(options = {}) {
      const client = new pg.Client({
        host: "127.0.0.1",
        port: o.port,
        user: "postgres",
        database: "bench",
        ...options,
      });
      client.on("error", () => undefined);
      await client.connect();
      return client;
    },
    async message(test) {
      for (let round = 0; round < 200; round += 1) {
        const found = messages.find(test);
        if (found !== undefined) return found;
        await pause(50);
      }
      throw new Error(`no such message among ${JSON.stringify(messages)}`);
    },
    async stop() {
      child.kill("SIGKILL");
      doors.value.close();
      await exited;
      await rm(o.directory, { recursive: true, force: true });
    },
  };
  harness.tell({ type: "view", view: o.view });
  harness.tell({ type: "lease", untilMs: LEASE_FOR_EVER_MS });
  doors.value.give(child);
  await Promise.race([
    harness.message((message) => message.type === "ready"),
    exited.then((code) => {
      throw new Error(`the worker ended with ${code}: ${errors}`);
    }),
  ]);
  return harness;
}

export async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
