/** What becomes of sessions whose server crashes, is stopped, or is not the primary any more. */
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { until } from "../support/loopback-cluster.ts";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { startWorker, type WorkerHarness } from "../support/worker-harness.ts";

let postgres: PostgresCluster;
let worker: WorkerHarness | null = null;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 1 });
  await postgres.query(0, "create database bench");
  await postgres.query(0, "create table t (a int)", "bench");
  await postgres.query(0, "create role other", "bench");
  await postgres.caughtUp();
});

afterAll(async () => {
  await postgres?.stop();
});

afterEach(async () => {
  await worker?.stop();
  worker = null;
});

/** All reads and writes go to the primary. */
const WEIGHTS = [1, 0];

let questionId = 1000;

/** Ends all connections of clients to this database, and waits until the worker has seen it. */
async function endConnections(at: WorkerHarness, server: number): Promise<void> {
  const sql = `select pg_terminate_backend(pid) from pg_stat_activity
    where datname = 'bench' and pid <> pg_backend_pid()`;
  await postgres.query(server, sql);
  await until("the worker has none", async () => {
    questionId += 1;
    const id = questionId;
    at.tell({ type: "list", what: "activity", id });
    const told = await at.message((one) => one.type === "activity" && one.id === id);
    return told.type === "activity" && told.rows[0]?.connections.length === 0;
  });
}

async function start(mode: string, config: readonly string[] = []): Promise<WorkerHarness> {
  worker = await startWorker({
    postgres,
    weights: WEIGHTS,
    config: [`pool_mode = ${mode}`, ...config],
  });
  return worker;
}

const STATE = `select current_setting('work_mem') as mem, current_setting('app.mine', true) as mine,
  current_user as me, (select count(*)::int from pg_prepared_statements where from_sql) as prepared`;

describe.each(["session", "transaction"])("in %s mode", (mode) => {
  /** With a state that has to be brought to another server connection. */
  async function settled(at: WorkerHarness): Promise<pg.Client> {
    const client = await at.client();
    await client.query("set work_mem = '7MB'");
    await client.query("set app.mine = 'mine'");
    await client.query("prepare by_sql as select 41 + $1::int as sum");
    await client.query("set role other");
    await client.query({ name: "named", text: "select $1::int + 1 as sum", values: [1] });
    return client;
  }

  /** Until it has been looked what the statements before have left. */
  async function looked(client: pg.Client): Promise<void> {
    for (let i = 0; i < 3; i += 1) await client.query("show work_mem");
  }

  async function expectSettled(client: pg.Client): Promise<void> {
    const { rows } = await client.query(STATE);
    expect(rows).toEqual([{ mem: "7MB", mine: "mine", me: "other", prepared: 1 }]);
    expect((await client.query("execute by_sql(1)")).rows).toEqual([{ sum: 42 }]);
    const named = await client.query({ name: "named", text: "", values: [2] });
    expect(named.rows).toEqual([{ sum: 3 }]);
  }

  test("an idle session goes on when its server connection ends, with all that it has SET and prepared", async () => {
    const at = await start(mode);
    const client = await settled(at);
    for (let round = 0; round < 3; round += 1) {
      await endConnections(at, 0);
      await expectSettled(client);
    }
    await client.end();
  });

  test("an idle session goes on with the new primary", async () => {
    const at = await start(mode);
    const client = await settled(at);
    // It promises to be one, for the reads of this test.
    at.change({ primaryId: 1 });
    await at.applied();
    await expectSettled(client);
    expect((await client.query("select pg_is_in_recovery() as is")).rows).toEqual([{ is: true }]);
    await looked(client);
    at.change({ primaryId: 0 });
    await at.applied();
    await expectSettled(client);
    await client.query("reset role");
    await client.query("insert into t values (1)");
    await client.end();
  });

  test("what runs when its server connection ends fails once, with the truth, and the session goes on", async () => {
    const at = await start(mode);
    const client = await settled(at);
    await client.query("reset role");
    /** Ends the connection on which this runs. */
    const end = async (pattern: string): Promise<void> => {
      const sql = `select pg_terminate_backend(pid) from pg_stat_activity
        where query like '%${pattern}%' and pid <> pg_backend_pid()`;
      await until("it was ended", async () => (await postgres.query(0, sql)).length > 0);
    };
    const failing = expect(client.query("select 'by itself', pg_sleep(60)")).rejects;
    const failed = failing.toMatchObject({ code: "57P01", severity: "ERROR" });
    await end("by itself");
    await failed;
    await client.query("begin");
    await client.query("insert into t values (7)");
    await end("values (7)");
    await expect(client.query("insert into t values (8)")).rejects.toMatchObject({
      code: "57P01",
      severity: "ERROR",
    });
    await expect(client.query("insert into t values (9)")).rejects.toMatchObject({ code: "25P02" });
    await client.query("rollback");
    expect((await client.query("select a from t where a in (7, 8, 9)")).rows).toEqual([]);
    await client.query("begin");
    await client.query("insert into t values (7)");
    await end("values (7)");
    await expect(client.query("commit")).rejects.toMatchObject({ severity: "ERROR" });
    await client.query("insert into t values (10)");
    expect((await client.query("select a from t where a >= 7")).rows).toEqual([{ a: 10 }]);
    await client.query("set role other");
    await client.query("reset role; delete from t; set role other");
    await expectSettled(client);
    await client.end();
  });

  test.each([
    ["LISTEN", "listen news"],
    ["temporary object", "create temp table mine (a int)"],
    ["advisory lock", "select pg_advisory_lock(7)"],
    ["cursor WITH HOLD", "declare c cursor with hold for select 1"],
  ])("a session that cannot be moved is told why: %s", async (why, statement) => {
    const at = await start(mode);
    const client = await at.client();
    await client.query(statement);
    await looked(client);
    const ended = new Promise<Error>((resolve) => {
      client.once("error", resolve);
    });
    at.change({ primaryId: 1 });
    expect(await ended).toMatchObject({
      code: "57P01",
      severity: "FATAL",
      detail: `the primary is now backend 1; it was 0. With it are gone: ${why}.`,
    });
  });

  test("a statement is held while there is no primary, and fails after failover_hold_timeout", async () => {
    const at = await start(mode, ["failover_hold_timeout = 400"]);
    const client = await settled(at);
    at.change({ primaryId: null, awaitsPrimary: true });
    await at.applied();
    const beganAt = performance.now();
    await expect(client.query("select 1 for update")).rejects.toMatchObject({ code: "57P03" });
    expect(performance.now() - beganAt).toBeGreaterThan(200);
    at.change({ primaryId: 0, awaitsPrimary: false });
    await at.applied();
    await expectSettled(client);
    await client.end();
  });
});
