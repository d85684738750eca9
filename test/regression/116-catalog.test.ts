import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { startWorker, type WorkerHarness } from "../support/worker-harness.ts";

let postgres: PostgresCluster;
let worker: WorkerHarness | null = null;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 1 });
  await postgres.query(0, "create database bench");
  await postgres.query(
    0,
    `create schema s; create schema other;
    create function where_am_i() returns text stable language sql
      as $$ select current_setting('cluster_name') $$;
    create function stable_f() returns int stable language sql as 'select 1';
    create function volatile_f() returns int volatile language sql as 'select 1';
    create function mixed_f(int) returns int immutable language sql as 'select 1';
    create function mixed_f(text) returns int volatile language sql as 'select 1';
    create function s.stable_f(int) returns int volatile language sql as 'select 1';
    create sequence q;
    create table t (a int); create unlogged table u (a int); create unlogged table s.t2 (a int);
    create table other.t2 (a int); create table pg_like (a int);
    create view plain_v as select * from t;
    create view volatile_v as select volatile_f() as a;
    create view nested_v as select * from volatile_v;
    create view next_v as select nextval('q') as a;
    create view unlogged_v as select * from u;
    create table part (a int) partition by list (a);
    create table part1 partition of part for values in (1);
    create table part2 (a int) partition by list (a);
    create unlogged table part2_1 partition of part2 for values in (1);
    create table "Größe" (a int); create unlogged table "Größe u" (a int)`,
    "bench",
  );
  await postgres.caughtUp();
});

afterAll(async () => {
  await postgres?.stop();
});

afterEach(async () => {
  await worker?.stop();
  worker = null;
});

// Reads go to backend 1, whatever else to the primary.
async function start(config: readonly string[] = []): Promise<pg.Client> {
  worker = await startWorker({ postgres, weights: [0, 1], config });
  return await worker.client();
}

/** By the name that its server has. */
function nodeIn(rows: readonly Record<string, unknown>[]): unknown {
  return rows[0]?.["node"];
}

const HERE = "(select current_setting('cluster_name')) as node";

async function nodeOf(client: pg.Client, rest: string): Promise<"primary" | "standby"> {
  const { rows } = await client.query<Record<string, unknown>>(
    `select ${HERE} ${rest.startsWith("from") ? "" : ","} ${rest}`,
  );
  if (rows.length === 0) throw new Error(`${rest} has no row`);
  return nodeIn(rows) === primaryName ? "primary" : "standby";
}

let primaryName: unknown;

beforeAll(async () => {
  const rows = await postgres.query(0, `select ${HERE}`);
  primaryName = nodeIn(rows);
});

const CASES: readonly [string, "primary" | "standby"][] = [
  ["stable_f()", "primary"],
  ["where_am_i()", "standby"],
  ["public.stable_f()", "standby"],
  ["volatile_f()", "primary"],
  ["mixed_f(1)", "primary"],
  ["lower('A')", "standby"],
  ["random()", "primary"],
  ["now()", "standby"],
  ["pg_backend_pid()", "primary"],
  ["nextval('q')", "primary"],
  ["(select count(*) from t)", "standby"],
  ["(select count(*) from u)", "primary"],
  ["(select count(*) from s.t2)", "primary"],
  ["(select count(*) from other.t2)", "standby"],
  ["(select count(*) from pg_like)", "standby"],
  ["(select count(*) from pg_class)", "primary"],
  ["(select count(*) from pg_catalog.pg_class)", "primary"],
  ["(select count(*) from information_schema.tables)", "standby"],
  ["(select count(*) from plain_v)", "standby"],
  ["(select count(*) from volatile_v)", "primary"],
  ["(select count(*) from nested_v)", "primary"],
  ["(select count(*) from next_v)", "primary"],
  ["(select count(*) from unlogged_v)", "primary"],
  ["(select count(*) from part)", "standby"],
  ["(select count(*) from part2)", "primary"],
  ['(select count(*) from "Größe")', "standby"],
  ['(select count(*) from "Größe u")', "primary"],
  ["(with u as (select 1) select count(*) from u)", "primary"],
  ["(with w as (select * from t) select count(*) from w)", "standby"],
];

describe.each(["session", "transaction"])("in %s mode", (mode) => {
  test("functions and relations go where the catalogs say, the first time and ever after", async () => {
    const client = await start([`pool_mode = ${mode}`]);
    for (const round of [1, 2]) {
      for (const [text, expected] of CASES) {
        expect(`${round} ${text} ${await nodeOf(client, text)}`).toBe(
          `${round} ${text} ${expected}`,
        );
      }
    }
  });

  test("the extended protocol asks as well, also for a whole batch", async () => {
    const client = await start([`pool_mode = ${mode}`]);
    const ask = async (text: string, name?: string): Promise<string> => {
      const query = { text: `select ${HERE}, $1::int, ${text}`, values: [1] };
      const { rows } = await client.query<Record<string, unknown>>(
        name === undefined ? query : { ...query, name },
      );
      return nodeIn(rows) === primaryName ? "primary" : "standby";
    };
    for (const [text, expected] of CASES)
      expect(`${text} ${await ask(text)}`).toBe(`${text} ${expected}`);
    for (let round = 0; round < 2; round += 1) {
      expect(await ask("volatile_f()", "v")).toBe("primary");
      expect(await ask("(select count(*) from t)", "t")).toBe("standby");
    }
  });

  test("DDL makes what was known void, for other sessions as well", async () => {
    const client = await start([`pool_mode = ${mode}`]);
    const other = await (worker as WorkerHarness).client();
    const text = "(select count(*) from changing)";
    await client.query("create table changing (a int)");
    await postgres.caughtUp();
    expect(await nodeOf(other, text)).toBe("standby");
    await client.query("begin; alter table changing set unlogged");
    await client.query("commit");
    expect(await nodeOf(other, text)).toBe("primary");
    await client.query("alter table changing set logged");
    await postgres.caughtUp();
    expect(await nodeOf(other, text)).toBe("standby");
    await client.query("drop table changing");
    await expect(nodeOf(other, text)).rejects.toMatchObject({ code: "42P01" });
  });

  test("a look-up that is refused sends the statement to the primary", async () => {
    await postgres.query(
      0,
      "create role blind login; revoke select on pg_proc from public",
      "bench",
    );
    try {
      await start([`pool_mode = ${mode}`]);
      const client = await (worker as WorkerHarness).client({ user: "blind" });
      for (let round = 0; round < 5; round += 1) {
        expect(await nodeOf(client, "where_am_i() as b")).toBe("primary");
      }
    } finally {
      await postgres.query(0, "grant select on pg_proc to public; drop role blind", "bench");
    }
  });
});

test("write_function_list and read_only_function_list decide alone", async () => {
  const client = await start(["read_only_function_list = 'volatile_f,count,current_setting'"]);
  expect(await nodeOf(client, "volatile_f()")).toBe("standby");
  expect(await nodeOf(client, "lower('a')")).toBe("primary");
  await worker?.stop();
  const second = await start(["write_function_list = 'low.*'"]);
  expect(await nodeOf(second, "volatile_f()")).toBe("standby");
  expect(await nodeOf(second, "lower('a')")).toBe("primary");
});

test("check_unlogged_table off has an unlogged table read on a standby, which refuses it", async () => {
  const client = await start(["check_unlogged_table = off"]);
  await expect(nodeOf(client, "(select count(*) from u)")).rejects.toThrow(/unlogged/);
});
