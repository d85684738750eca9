/**
 * What streams through a worker stays in the kernel's buffers: slow readers, slow servers and
 * messages of any size cost next to no memory. `GIANT_MIB=1000` is the long run.
 */
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/loopback-cluster.ts";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { RawClient, say } from "../support/raw-client.ts";
import { pause, startWorker, type WorkerHarness } from "../support/worker-harness.ts";

const GIANT_MIB = Number(process.env.GIANT_MIB ?? "64");
const MIB = 1024 * 1024;
const READERS = 16;
const PER_SLOW_READER_KIB_MAX = 1024;
/** Of a process that collects its garbage when it likes. */
const NOISE_KIB = 24 * 1024;

let postgres: PostgresCluster;
let worker: WorkerHarness;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 0 });
  await postgres.query(0, "create database bench");
  await postgres.query(0, "create table t (a text)", "bench");
});

afterAll(async () => {
  await postgres?.stop();
});

/** Resident memory of the worker. */
function residentKib(): number {
  const status = readFileSync(`/proc/${worker.child.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? "0");
}

/** The most that was resident while `work` ran, above what was before. */
async function growthDuring(work: () => Promise<void>): Promise<number> {
  const before = residentKib();
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, residentKib());
  }, 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return Math.max(most, residentKib()) - before;
}

/** Has the worker run warm, so that what follows measures the streams alone. */
async function warmUp(): Promise<void> {
  const client = await RawClient.login(worker.port);
  for (let round = 1; round <= 3; round += 1) {
    client.send(say.query("select repeat('x', 1000) from generate_series(1, 20000)"));
    await client.ready(round);
  }
  client.destroy();
}

/** A client whose bytes are counted and dropped. */
class Drain {
  readonly client: RawClient;
  bytes = 0;
  last: Buffer = Buffer.alloc(0);

  constructor(client: RawClient) {
    this.client = client;
    client.socket.removeAllListeners("data");
    client.socket.on("data", (chunk: Buffer) => {
      this.bytes += chunk.length;
      this.last = Buffer.concat([this.last, chunk]).subarray(-64);
    });
  }

  /** Until ReadyForQuery is the last thing that came. */
  async ready(): Promise<void> {
    const end = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);
    await until("ReadyForQuery", () => this.last.subarray(-6).equals(end), 60_000);
  }
}

describe.each([
  ["session", []],
  ["transaction", ["pool_mode = 'transaction'", "pool_size = 20"]],
])("in %s mode", (_mode, config) => {
  beforeEach(async () => {
    worker = await startWorker({ postgres, config });
    await warmUp();
  });

  afterEach(async () => {
    await worker.stop();
  });

  test("readers that are too slow for an endless result cost less than 1 MiB each", async () => {
    const readers = await Promise.all(
      Array.from({ length: READERS }, async () => new Drain(await RawClient.login(worker.port))),
    );
    const over = new AbortController();
    const grown = await growthDuring(async () => {
      const reading = readers.map(async ({ client }) => {
        // Ten GB each, if anybody read them.
        client.send(say.query("select repeat('x', 1000), generate_series(1, 10000000)"));
        while (!over.signal.aborted) {
          client.socket.pause();
          await pause(100);
          client.socket.resume();
          await pause(1);
        }
      });
      await pause(2500);
      over.abort();
      await Promise.all(reading);
    });
    expect(Math.min(...readers.map(({ bytes }) => bytes))).toBeGreaterThan(0);
    expect(grown).toBeLessThan(READERS * PER_SLOW_READER_KIB_MAX);
    for (const { client } of readers) client.destroy();
  });

  test("a message of a client and a row of a server may be giants", async () => {
    const reader = new Drain(await RawClient.login(worker.port));
    const { socket } = reader.client;
    const length = GIANT_MIB * MIB;
    const grown = await growthDuring(async () => {
      reader.client.send(say.parse("", "select length($1), repeat('y', $2::int)"));
      const head = say.bind("", "", ["", `${length}`]);
      // The first value is as long as it says, and comes in pieces.
      const valueAt = head.indexOf(Buffer.from([0, 2])) + 2;
      head.writeUInt32BE(head.length - 1 + length, 1);
      head.writeUInt32BE(length, valueAt);
      socket.write(head.subarray(0, valueAt + 4));
      const piece = Buffer.alloc(MIB, "z");
      for (let i = 0; i < GIANT_MIB; i += 1) {
        if (!socket.write(piece)) await new Promise((resolve) => socket.once("drain", resolve));
      }
      socket.write(Buffer.concat([head.subarray(valueAt + 4), say.execute(), say.sync()]));
      await reader.ready();
    });
    expect(reader.bytes).toBeGreaterThan(length);
    expect(reader.bytes).toBeLessThan(length + 200);
    expect(grown).toBeLessThan(NOISE_KIB);
    reader.client.destroy();
  }, 120_000);

  test("a COPY FROM STDIN whose server does not read stops the client, and loses nothing", async () => {
    await postgres.query(0, "truncate t", "bench");
    const blocker = await RawClient.login(postgres.servers[0]?.port ?? 0);
    blocker.send(say.query("begin; lock table t"));
    await blocker.ready();
    const client = await RawClient.login(worker.port);
    const rows = say.copyData(`${"x".repeat(999)}\n`.repeat(1000));
    const count = 40;
    const grown = await growthDuring(async () => {
      client.send(say.query("copy t from stdin"));
      for (let i = 0; i < count; i += 1) client.socket.write(rows);
      client.send(say.copyDone());
      await pause(1000);
      expect(client.socket.writableLength, "the client is stopped").toBeGreaterThan(20 * MIB);
      blocker.send(say.query("commit"));
      await client.ready();
    });
    expect(client.frames.find(({ type }) => type === "C")?.body.toString()).toBe(
      `COPY ${count}000\0`,
    );
    expect(grown).toBeLessThan(NOISE_KIB);
    client.destroy();
    blocker.destroy();
  });

  test("a notification reaches a listener that is idle, while others work", async () => {
    const listener = await RawClient.login(worker.port);
    listener.send(say.query("listen news"));
    await listener.ready();
    const other = await RawClient.login(worker.port);
    for (let round = 1; round <= 3; round += 1) {
      other.send(say.query(`select ${round}; notify news, 'number ${round}'`));
      await other.ready(round);
      await listener.until(() => listener.count("A") === round, `notification ${round}`, 2000);
    }
    expect(other.count("A")).toBe(0);
    expect(listener.frames.at(-1)?.body.toString()).toContain("number 3");
    listener.destroy();
    other.destroy();
  });
});
