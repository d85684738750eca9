/** Cancels of commits that wait for a synchronous standby, which is away. `CANCELS=10000` is the long run. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { RawClient, say } from "../support/raw-client.ts";
import { startWorker } from "../support/worker-harness.ts";

const CANCELS = Number(process.env.CANCELS ?? "40");
const CANCEL_HEAD = Buffer.from([0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e]);

let postgres: PostgresCluster;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 1 });
  await postgres.query(0, "create database bench");
  await postgres.query(0, "create table written (a int)", "bench");
  await postgres.caughtUp();
  await postgres.stopServer(1, "immediate");
  await postgres.query(0, "alter system set synchronous_standby_names = '*'");
  await postgres.query(0, "select pg_reload_conf()");
});

afterAll(async () => {
  await postgres?.stop();
});

async function open(port: number): Promise<{ client: RawClient; key: Buffer }> {
  const client = await RawClient.open(port);
  client.send(say.startUp({ user: "postgres", database: "bench" }));
  await client.ready();
  const key = client.frames.find((frame) => frame.type === "K")?.body ?? Buffer.alloc(8);
  client.frames.length = 0;
  return { client, key };
}

const WAITING = "select pid from pg_stat_activity where wait_event = 'SyncRep'";

/** Until this many commits wait for the standby. */
async function waiting(count: number): Promise<number[]> {
  for (;;) {
    const rows = await postgres.query(0, WAITING);
    if (rows.length >= count) return rows.map((row) => row["pid"] as number);
  }
}

async function cancel(port: number, key: Buffer): Promise<void> {
  const other = await RawClient.open(port);
  other.send(Buffer.concat([CANCEL_HEAD, key]));
  await other.closed();
}

/** Of so many writes whose commit was canceled: those that were called done, and those that waited on. */
async function outcomes(port: number, cancels: number): Promise<{ done: number; held: number }> {
  const { client, key } = await open(port);
  let done = 0;
  let held = 0;
  try {
    for (let i = 0; i < cancels; i += 1) {
      client.frames.length = 0;
      const batch = [say.parse("", "insert into written values (1)"), say.bind("", "")];
      if (i % 2 === 0) client.send(say.query("insert into written values (1)"));
      else client.send(...batch, say.execute(), say.sync());
      const [pid] = await waiting(1);
      await cancel(port, key);
      // A cancel that is held back leaves it waiting: then an administrator is less careful.
      const rows = await postgres.query(
        0,
        `select pg_cancel_backend(${pid}) from pg_stat_activity
        where pid = ${pid} and wait_event = 'SyncRep'`,
      );
      held += rows.length;
      await client.ready();
      if (client.count("E") === 0) done += 1;
      else expect(client.error()).toMatchObject({ C: "08007", S: "ERROR" });
    }
  } finally {
    client.destroy();
  }
  return { done, held };
}

test("PostgreSQL calls such a commit done", async () => {
  const { done } = await outcomes(postgres.servers[0]?.port ?? 0, 4);
  expect(done).toBe(4);
});

describe.each(["session", "transaction"])("in %s mode", (mode) => {
  test(
    "no such commit is called done, and the cancel request is held back",
    async () => {
      const worker = await startWorker({ postgres, config: [`pool_mode = ${mode}`] });
      try {
        expect(await outcomes(worker.port, CANCELS)).toEqual({ done: 0, held: CANCELS });
      } finally {
        await worker.stop();
      }
    },
    60_000 + CANCELS * 100,
  );

  test("a COPY behind such a commit, in the same text, does not wait for data that never come", async () => {
    const worker = await startWorker({ postgres, config: [`pool_mode = ${mode}`] });
    const { client } = await open(worker.port);
    try {
      const text = "begin; insert into written values (2); commit; copy written from stdin";
      client.send(say.query(text));
      const [pid] = await waiting(1);
      await postgres.query(0, `select pg_cancel_backend(${pid})`);
      await client.ready();
      expect(client.error()).toMatchObject({ C: "08007", S: "ERROR" });
      expect(client.count("G")).toBe(0);
      client.frames.length = 0;
      client.send(say.query("select a from written where a = 2 limit 1"));
      await client.ready();
      expect([client.count("D"), client.count("E")]).toEqual([1, 0]);
    } finally {
      client.destroy();
      await worker.stop();
    }
  });
});
