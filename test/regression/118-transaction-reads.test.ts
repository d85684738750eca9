import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { RawClient, say } from "../support/raw-client.ts";
import { startWorker, type WorkerHarness } from "../support/worker-harness.ts";

let postgres: PostgresCluster;
let worker: WorkerHarness | null = null;
let primaryName: unknown;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 1 });
  await postgres.query(0, "create database bench");
  await postgres.query(
    0,
    `create table t (a int); insert into t select generate_series(1, 1000);
     create table u (a int); create table w (a int);
     create function f() returns int volatile language sql as 'select 1'`,
    "bench",
  );
  await postgres.caughtUp();
  primaryName = (await postgres.query(0, HERE))[0]?.["node"];
});

afterAll(async () => {
  await postgres?.stop();
});

afterEach(async () => {
  await worker?.stop();
  worker = null;
});

const HERE = "select current_setting('cluster_name') as node";

async function start(config: readonly string[] = []): Promise<pg.Client> {
  worker = await startWorker({ postgres, weights: [0, 1], config });
  // Behind its first write a worker asks what functions of users may leave in a session; until it
  // knows that, a transaction that has written opens no standby.
  const first = await worker.client();
  for (const sql of ["delete from w where false", "select 1"]) await first.query(sql);
  await first.end();
  return await worker.client();
}

/** Where a read of `table` goes, and that it is told the status of the transaction. */
async function placeOf(client: pg.Client, table = "t"): Promise<"primary" | "standby"> {
  const { rows } = await client.query<{ node: unknown }>(`${HERE} from ${table} limit 1`);
  return rows[0]?.node === primaryName ? "primary" : "standby";
}

/** The places of reads of the tables, between other statements. */
async function story(client: pg.Client, texts: readonly string[]): Promise<string> {
  const places: string[] = [];
  for (const text of texts) {
    if (/^[a-z]$/.test(text))
      places.push(await placeOf(client, `(select 1 from ${text} union select 1) x`));
    else await client.query(text);
  }
  return places.map((place) => place.charAt(0)).join("");
}

describe.each(["session", "transaction"])("in %s mode, reads of a transaction", (mode) => {
  let client: pg.Client;

  beforeEach(async () => {
    client = await start([`pool_mode = ${mode}`]);
  });

  test.each([
    [
      "go to a standby until it writes",
      ["begin", "t", "t", "insert into u values (1)", "t", "commit", "t"],
      "ssps",
    ],
    ["stay after a volatile function", ["begin", "t", "select f()", "t", "rollback"], "sp"],
    ["stay after a SET", ["begin", "t", "set local work_mem = '1MB'", "t", "commit", "t"], "sps"],
    [
      "go on after SET TRANSACTION READ ONLY",
      ["begin", "set transaction read only", "t", "commit"],
      "s",
    ],
    [
      "stay where it has one snapshot",
      ["begin isolation level repeatable read", "t", "commit"],
      "p",
    ],
    ["stay where it is serializable", ["begin isolation level serializable", "t", "commit"], "p"],
    [
      "go where READ COMMITTED is asked for",
      ["start transaction isolation level read committed, read only", "t", "commit"],
      "s",
    ],
    [
      "stay when the default is another level",
      [
        "set default_transaction_isolation = 'repeatable read'",
        "begin",
        "t",
        "commit",
        "reset default_transaction_isolation",
        "begin",
        "t",
        "commit",
      ],
      "ps",
    ],
    ["stay when it was begun among other statements", ["begin; select 1", "t", "commit"], "p"],
    [
      "stay after a savepoint and a write that was taken back",
      ["begin", "savepoint a", "t", "insert into u values (1)", "rollback to a", "t", "commit"],
      "sp",
    ],
    [
      "leave again after COMMIT AND CHAIN",
      [
        "begin",
        "insert into u values (1)",
        "t",
        "commit and chain",
        "t",
        "rollback and chain",
        "t",
        "commit",
      ],
      "pss",
    ],
    [
      "stay after COMMIT AND CHAIN of a transaction of another level",
      [
        "begin",
        "set transaction isolation level repeatable read",
        "t",
        "commit and chain",
        "t",
        "commit",
      ],
      "pp",
    ],
  ])("%s", async (_, texts, expected) => {
    expect(await story(client, texts)).toBe(expected);
    expect(await story(client, texts)).toBe(expected);
  });

  test("have one time, on the primary", async () => {
    await client.query("begin");
    const [first] = (await client.query("select now() as n")).rows as { n: Date }[];
    const [second] = (await client.query("select current_timestamp as n from t limit 1")).rows as {
      n: Date;
    }[];
    expect(second).toEqual(first);
    await client.query("commit");
  });

  test("that fail leave the transaction failed", async () => {
    await client.query("begin");
    expect(await placeOf(client)).toBe("standby");
    await expect(client.query("select 1 / a from (select 0 as a from t) x")).rejects.toMatchObject({
      code: "22012",
    });
    await expect(placeOf(client)).rejects.toMatchObject({ code: "25P02" });
    expect((await client.query("commit")).command).toBe("ROLLBACK");
    expect(await placeOf(client)).toBe("standby");
  });

  test("that fail after their first rows do as well, and a savepoint is gone back to", async () => {
    await client.query("begin");
    await client.query("savepoint s");
    expect(await placeOf(client)).toBe("standby");
    const late = "select 1 / (1000 - a) from t, generate_series(1, 50) order by a";
    await expect(client.query(late)).rejects.toMatchObject({ code: "22012" });
    await expect(placeOf(client)).rejects.toMatchObject({ code: "25P02" });
    await client.query("rollback to s");
    await client.query("insert into u values (7)");
    expect((await client.query("commit")).command).toBe("COMMIT");
  });

  test("that are canceled fail, and so does the transaction", async () => {
    await client.query("set statement_timeout = 300");
    await client.query("begin");
    const slow = client.query("select count(*) from t a, t b, t c, t d");
    await expect(slow).rejects.toMatchObject({ code: "57014" });
    await expect(placeOf(client)).rejects.toMatchObject({ code: "25P02" });
    await client.query("rollback");
  });

  test("with parameters and names go there too", async () => {
    const named = { name: "n", text: `${HERE}, $1::int from t limit 1`, values: [1] };
    await client.query(named);
    await client.query("begin");
    for (let round = 0; round < 2; round += 1) {
      expect((await client.query<{ node: unknown }>(named)).rows[0]?.node).not.toBe(primaryName);
    }
    await client.query("insert into u values (1)");
    expect((await client.query<{ node: unknown }>(named)).rows[0]?.node).toBe(primaryName);
    await client.query("rollback");
    expect((await client.query<{ node: unknown }>(named)).rows[0]?.node).not.toBe(primaryName);
  });

  test("whose rows are fetched bit by bit stay, and can be gone on with after a Sync", async () => {
    const raw = await RawClient.login((worker as WorkerHarness).port);
    const rowsOf = async (...messages: readonly Buffer[]): Promise<number> => {
      raw.frames.length = 0;
      raw.send(...messages, say.sync());
      await raw.ready();
      return raw.count("D");
    };
    raw.send(say.query("begin"));
    await raw.ready();
    const text = "select a from t order by a";
    expect(await rowsOf(say.parse("", text), say.bind("", ""), say.execute("", 2))).toBe(2);
    expect(await rowsOf(say.execute("", 3))).toBe(3);
    expect(await rowsOf(say.parse("", text), say.bind("p", ""))).toBe(0);
    expect(await rowsOf(say.execute("p", 0))).toBe(1000);
    raw.destroy();
  });

  test.each([
    ["begins with BEGIN", [say.parse("", "begin"), say.bind("", ""), say.execute("", 0)]],
    [
      "begins with a BEGIN of a name",
      [say.parse("S_1", "begin"), say.bind("", "S_1"), say.execute("", 0)],
    ],
  ])("that fail are answered once, behind a batch that %s", async (_title, begin) => {
    const raw = await RawClient.login((worker as WorkerHarness).port);
    const asked = async (text: string, ...before: readonly Buffer[]): Promise<string> => {
      raw.frames.length = 0;
      const read = [say.bind("", ""), say.describe("P", ""), say.execute("", 0), say.sync()];
      raw.send(...before, say.parse("", text), ...read);
      await raw.ready();
      return raw.types();
    };
    expect(await asked("select a from t limit 0", ...begin)).toBe("12C12TCZ");
    expect(await asked("select 1/0")).toBe("1EZ");
    expect(await asked("rollback")).toBe("12nCZ");
    raw.destroy();
  });

  test("that come before the BEGIN is answered stay", async () => {
    const raw = await RawClient.login((worker as WorkerHarness).port);
    raw.send(say.query("begin"), say.query(`${HERE} from t limit 1`), say.query("commit"));
    await raw.ready(3);
    const statuses = raw.frames
      .filter(({ type }) => type === "Z")
      .map(({ body }) => body.toString());
    expect(statuses).toEqual(["T", "T", "I"]);
    raw.destroy();
  });
});

describe("disable_load_balance_on_write", () => {
  const FIRST = ["begin", "t", "insert into u values (1)", "t", "u", "commit", "t"];
  const LATER = ["begin", "t", "commit", "insert into u values (1)", "t", "begin", "t", "commit"];

  test.each([
    ["off", "ssss", "sss"],
    ["transaction", "spps", "sss"],
    ["trans_transaction", "spps", "psp"],
    ["always", "sppp", "ppp"],
    ["dml_adaptive", "ssps", "sss"],
  ])("%s", async (value, first, later) => {
    const client = await start([`disable_load_balance_on_write = ${value}`]);
    expect(await story(client, FIRST)).toBe(first);
    expect(await story(client, LATER)).toBe(later);
  });

  test("dml_adaptive knows which objects belong together", async () => {
    const client = await start([
      "disable_load_balance_on_write = dml_adaptive",
      "dml_adaptive_object_relationship_list = 'u:w,f():t'",
    ]);
    expect(await story(client, ["begin", "update u set a = 1", "u", "w", "t", "commit", "w"])).toBe(
      "ppss",
    );
    expect(await story(client, ["begin", "t", "select f()", "t", "u", "commit"])).toBe("sps");
    expect(await story(client, ["begin", "set local work_mem = '1MB'", "t", "commit"])).toBe("p");
  });
});
