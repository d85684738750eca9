/**
 * How clients come to the workers of a node: evenly, past a worker that died, and never to a port
 * that somebody else has.
 */
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { CANCEL_WORKER_SHIFT } from "../../src/wire/ipc/index.ts";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { RawClient, say } from "../support/raw-client.ts";

const USER = { user: "postgres", database: "bench" };

let postgres: PostgresCluster;
let node: LoneNode;
const clients: RawClient[] = [];
const workers = new Map<RawClient, number>();

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 0 });
  await postgres.query(0, "create database bench");
});

afterAll(async () => {
  await postgres?.stop();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await node?.remove();
});

async function start(...config: readonly string[]): Promise<void> {
  node = await LoneNode.start({ postgres, config: ["load_balance_mode = off", ...config] });
}

async function enter(count: number): Promise<RawClient[]> {
  const came = await Promise.all(Array.from({ length: count }, enterOne));
  clients.push(...came);
  return came;
}

async function enterOne(): Promise<RawClient> {
  const client = await RawClient.open(node.port);
  client.send(say.startUp(USER));
  await client.ready();
  // The worker's number is part of the key that a client cancels with.
  const key = client.frames.find(({ type }) => type === "K");
  workers.set(client, (key?.body.readInt32BE(0) ?? 0) >>> CANCEL_WORKER_SHIFT);
  client.frames.length = 0;
  return client;
}

function workerOf(client: RawClient): number {
  return workers.get(client) ?? 0;
}

function countsOf(those: readonly RawClient[]): number[] {
  const counts = new Map<number, number>();
  for (const client of those) {
    const worker = workerOf(client);
    counts.set(worker, (counts.get(worker) ?? 0) + 1);
  }
  return [...counts.values()].toSorted((a, b) => a - b);
}

test.each([2, 4])("clients that come at once are spread evenly over %i workers", async (count) => {
  await start(`num_workers = ${count}`, "num_init_children = 64");
  const counts = countsOf(await enter(32));
  expect(counts.length).toBe(count);
  for (const has of counts) expect(Math.abs(has - 32 / count)).toBeLessThanOrEqual(4);
});

test("clients that come one by one are spread evenly", async () => {
  await start("num_workers = 2", "num_init_children = 64");
  for (let i = 0; i < 24; i++) await enter(1);
  const counts = countsOf(clients);
  expect(counts.length).toBe(2);
  for (const count of counts) expect(Math.abs(count - 12)).toBeLessThanOrEqual(4);
});

test("the port stays open when the only worker is killed, and who comes is served soon", async () => {
  await start("num_workers = 1");
  const [worker] = (await node.status()).pids.workers;
  const [before] = await enter(1);
  process.kill(worker ?? 0, "SIGKILL");
  const startedMs = performance.now();
  const [after] = await enter(1);
  expect(performance.now() - startedMs).toBeLessThan(3000);
  await before?.closed();
  after?.send(say.query("select 1"));
  await after?.ready();
  expect((await node.status()).workers.restarts).toBe(1);
  expect(node.log).toContain("worker 1 ended by signal SIGKILL; starting it again");
});

test("a worker that is killed takes only its own clients along", async () => {
  await start("num_workers = 2", "num_init_children = 64");
  await enter(16);
  const { pids } = await node.status();
  // The processes are named after their numbers.
  const victim = pids.workers[0] ?? 0;
  const title = execFileSync("ps", ["-o", "args=", "-p", String(victim)]).toString();
  const number = Number(/worker (\d+)/.exec(title)?.[1]);
  const others = clients.filter((client) => workerOf(client) !== number);
  const its = clients.filter((client) => workerOf(client) === number);
  expect(others.length).toBeGreaterThan(0);
  process.kill(victim, "SIGKILL");
  await Promise.all(its.map((client) => client.closed()));
  for (const client of others) {
    client.send(say.query("select 1"));
    await client.ready();
  }
  await enter(4);
});

test("clients that come while a worker is frozen are served by the others", async () => {
  await start("num_workers = 2", "num_init_children = 64");
  const [frozen] = (await node.status()).pids.workers;
  process.kill(frozen ?? 0, "SIGSTOP");
  try {
    await enter(2);
  } finally {
    process.kill(frozen ?? 0, "SIGCONT");
  }
});

test("a stop lets nobody in, and waits for those inside", async () => {
  await start("num_workers = 2");
  const [client] = await enter(1);
  node.signal("SIGTERM");
  await until("nobody gets in", async () => {
    const came = await RawClient.open(node.port).catch(() => null);
    came?.destroy();
    return came === null;
  });
  client?.send(say.query("select 1"));
  await client?.ready();
  client?.send(say.terminate());
  await node.ended;
});

test("the socket file has the permissions that the configuration says", async () => {
  await start("num_workers = 2", "unix_socket_permissions = 0700");
  const file = join(node.home, `.s.PGSQL.${node.port}`);
  expect((statSync(file).mode & 0o777).toString(8)).toBe("700");
  const client = await node.client({ host: node.home });
  await client.end();
});

test.each(["*", "localhost", "127.0.0.1,::1"])("clients come in by %s", async (addresses) => {
  await start(`listen_addresses = '${addresses}'`);
  await enter(1);
});

test.each([
  ["no-such-host.invalid", /ENOTFOUND|EAI_AGAIN/],
  ["192.0.2.1", /EADDRNOTAVAIL/],
])("%s, which is not ours, is named, with the remedy", async (address, code) => {
  const started = start(`listen_addresses = '${address}'`);
  await expect(started).rejects.toThrow(`could not listen on ${address} port`);
  await expect(started).rejects.toThrow(code);
  await expect(started).rejects.toThrow(/change listen_addresses|Change listen_addresses/);
});

test("a used port is named, with the remedy", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await until("it listens", () => Promise.resolve(other.listening));
  const { port } = other.address() as { port: number };
  try {
    await expect(start(`port = ${port}`)).rejects.toThrow(
      new RegExp(`could not listen on 127.0.0.1 port ${port}: EADDRINUSE[^]*or change port`),
    );
  } finally {
    other.close();
  }
});
