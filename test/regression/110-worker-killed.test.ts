/** A worker dies in the middle of its work: it takes its own clients along and nobody else. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { workerOfProcessId } from "../../src/wire/ipc/index.ts";
import { until } from "../support/loopback-cluster.ts";
import { LoneNode } from "../support/lone-node.ts";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { RawClient, say } from "../support/raw-client.ts";

const WORKERS = 2;
const CLIENTS = 12;
const SERVED_AGAIN_WITHIN_MS = 1000;
const DEATHS = Number(process.env.DEATHS ?? "1");

let postgres: PostgresCluster;
let node: LoneNode;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 0 });
  await postgres.query(0, "create database bench");
  const config = [`num_workers = ${WORKERS}`, "num_init_children = 500"];
  node = await LoneNode.start({ postgres, config });
});

afterAll(async () => {
  await node?.remove();
  await postgres?.stop();
});

interface Client {
  readonly raw: RawClient;
  readonly worker: number;
}

/** @returns null when it is refused or cut off on the way. */
async function connect(): Promise<Client | null> {
  try {
    const raw = await RawClient.open(node.port);
    raw.send(say.startUp({ user: "postgres", database: "bench" }));
    await raw.ready();
    const key = raw.frames.find((frame) => frame.type === "K")?.body;
    return { raw, worker: workerOfProcessId(key?.readInt32BE(0) ?? 0) };
  } catch {
    return null;
  }
}

/** Runs statements until it is told to stop. @returns how many were answered, and whether one was not. */
async function work(
  raw: RawClient,
  mayGoOn: () => boolean,
): Promise<{ done: number; cut: boolean }> {
  let done = 0;
  while (mayGoOn()) {
    raw.frames.length = 0;
    raw.send(say.query(`select ${done}, pg_sleep(0.002)`));
    try {
      await raw.ready();
    } catch {
      return { done, cut: true };
    }
    if (raw.types() !== "TDCZ") return { done, cut: true };
    done += 1;
  }
  return { done, cut: false };
}

/** The process of this worker; null while there is none. */
async function pidOfWorker(number: number): Promise<number | null> {
  const { pids } = await node.status();
  const isIts = (pid: number): boolean =>
    readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith(`pgpool: worker ${number}`);
  return pids.workers.find(isIts) ?? null;
}

async function killUnderLoad(victim: number): Promise<void> {
  const clients: Client[] = [];
  await until("every worker has clients", async () => {
    const opened = await Promise.all(Array.from({ length: CLIENTS }, connect));
    clients.push(...opened.filter((one) => one !== null));
    return new Set(clients.map(({ worker }) => worker)).size === WORKERS;
  });
  const over = new AbortController();
  const results = clients.map(({ raw }) => work(raw, () => !over.signal.aborted));

  const pid = await pidOfWorker(victim);
  if (pid === null) throw new Error(`there is no worker ${victim}`);
  const diedMs = performance.now();
  process.kill(pid, "SIGKILL");
  let lastFailureMs = diedMs;
  // Until the worker is there again, and has clients.
  const latecomers: Client[] = [];
  await until("the worker is replaced and serves", async () => {
    const startMs = performance.now();
    const latecomer = await connect();
    if (latecomer === null) lastFailureMs = performance.now();
    else latecomers.push(latecomer);
    expect(performance.now() - startMs, "a connection is made or fails in time").toBeLessThan(1000);
    return latecomer?.worker === victim && (await pidOfWorker(victim)) !== pid;
  });
  expect(lastFailureMs - diedMs).toBeLessThan(SERVED_AGAIN_WITHIN_MS);
  over.abort();

  const ended = await Promise.all(results);
  const ofOthers = ended.filter((_, index) => clients[index]?.worker !== victim);
  const ofVictim = ended.filter((_, index) => clients[index]?.worker === victim);
  expect(ofOthers.filter(({ cut }) => cut)).toEqual([]);
  expect(Math.min(...ofOthers.map(({ done }) => done))).toBeGreaterThan(0);
  expect(ofVictim.every(({ cut }) => cut)).toBe(true);
  for (const { raw } of [...clients, ...latecomers]) raw.destroy();
  expect(node.log).toContain(`worker ${victim} ended by signal SIGKILL; starting it again`);
}

test("a worker that is killed under load: others' clients see nothing, new ones are served at once", async () => {
  for (let death = 0; death < DEATHS; death += 1) await killUnderLoad(1 + (death % WORKERS));
});
