/**
 * Two clients take turns on the only server connection there is, statement by statement. Whatever
 * one of them leaves behind must be there for itself, as on a connection of its own, and must not
 * be there for the other one.
 */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { startWorker, type WorkerHarness } from "../support/worker-harness.ts";

let postgres: PostgresCluster;
/** One sends everything to the primary, the other one all reads to the standby. */
const workers: Record<string, WorkerHarness> = {};

/** They leave something in the session of whoever calls them. */
const FUNCTIONS = `
  create table t (a text);
  create table watched (a int);
  create function sets() returns text language plpgsql as $$ begin
    -- For the session.
    set work_mem = '7MB'; return set_config('app.who', 'f', false); end $$;
  create function sets_locally() returns text language sql as $$ select set_config('app.who', 'g', true) $$;
  create function outer_one() returns text language plpgsql as $$ begin return sets(); end $$;
  create function takes_role() returns void language plpgsql as $$ begin execute 'set role somebody'; end $$;
  create function makes_table() returns void language plpgsql as $$ begin create temp table made as select 4; end $$;
  create function locks() returns bool language sql as $$ select pg_try_advisory_lock(77) $$;
  create function listens() returns void language plpgsql as $$ begin listen c; end $$;
  create function prepares() returns void language plpgsql as $$ begin execute 'prepare made as select 9'; end $$;
  create function opens() returns void language plpgsql as $$ begin
    execute 'declare made cursor with hold for select generate_series(1, 3)'; end $$;
  create function resets() returns void language plpgsql as $$ begin reset work_mem; end $$;
  create procedure sets_too() language plpgsql as $$ begin perform sets(); end $$;
  create function on_change() returns trigger language plpgsql as $$ begin perform sets(); return new; end $$;
  create trigger watches before insert on watched for each row execute function on_change();
`;

/** How long the other client waits before it is clear that the connection is kept. */
const QUEUE_TIMEOUT_MS = 150;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 1 });
  await postgres.query(0, "create database bench");
  await postgres.query(0, "create role somebody");
  await postgres.query(0, FUNCTIONS, "bench");
  const config = [
    "pool_mode = transaction",
    "pool_size = 1",
    `queue_timeout = ${QUEUE_TIMEOUT_MS}ms`,
  ];
  workers["one server"] = await startWorker({ postgres, weights: [1, 0], config });
  workers["two servers"] = await startWorker({ postgres, weights: [0, 1], config });
  await postgres.caughtUp();
});

afterAll(async () => {
  await Promise.all(Object.values(workers).map((worker) => worker.stop()));
  await postgres?.stop();
});

/** Whether the connection is kept when the story is over. */
type End = "kept" | "shared";
type Story = [name: string, end: End, statements: string[]];

const WHO = "select current_setting('app.who', true) as u";
const CHANNELS = "select pg_listening_channels()";

const STORIES: Story[] = [
  ["SET", "shared", ["set search_path = a, b", "show search_path", "set app.who = 'x'", WHO]],
  ["RESET", "shared", ["set work_mem = '5MB'", "reset work_mem", "show work_mem"]],
  ["RESET of a parameter of an application", "shared", ["set app.who = 'x'", "reset app.who", WHO]],
  [
    "SET TO DEFAULT",
    "shared",
    ["set time zone 'Asia/Tokyo'", "set time zone default", "show timezone"],
  ],
  ["SET LOCAL", "shared", ["begin", "set local app.who = 'y'", WHO, "commit", WHO]],
  ["a SET that is rolled back", "shared", ["begin", "set app.who = 'y'", "rollback", WHO]],
  ["a SET that is committed", "shared", ["begin", "set app.who = 'y'", "commit", WHO]],
  [
    "a SET that is rolled back to a savepoint",
    "shared",
    [
      "begin",
      "set app.who = '1'",
      "savepoint s",
      "set app.who = '2'",
      "rollback to s",
      "commit",
      WHO,
    ],
  ],
  [
    "a SET that fails",
    "shared",
    ["set app.who = 'z'", "set work_mem = 'much'", WHO, "show work_mem"],
  ],
  [
    "SET SESSION CHARACTERISTICS",
    "shared",
    [
      "set session characteristics as transaction read only",
      "create table never (a int)",
      "set session characteristics as transaction read write",
    ],
  ],
  [
    "SET ROLE",
    "shared",
    ["set role somebody", "select current_user", "reset role", "select current_user"],
  ],
  [
    "SET SESSION AUTHORIZATION",
    "shared",
    [
      "set session authorization somebody",
      "select session_user, current_user",
      "reset session authorization",
      "select session_user, current_user",
    ],
  ],
  [
    "set_config",
    "shared",
    [
      "select set_config('app.who', 'c', false)",
      WHO,
      "select set_config('app.who', 'd', true)",
      WHO,
      "insert into t select set_config('app.who', 'e', false)",
      WHO,
    ],
  ],
  [
    "several statements at once",
    "shared",
    [
      "set app.who = '1'; set datestyle = 'german'",
      WHO,
      "select date '2026-01-31'",
      "select 1; reset all",
      WHO,
      "show datestyle",
    ],
  ],
  [
    "a parameter of the client's own beside one that is RESET",
    "shared",
    ["set datestyle = 'german'", "set app.who = '1'; reset datestyle", WHO, "show datestyle"],
  ],
  ["LISTEN", "kept", ["listen c", CHANNELS, "notify c, 'x'", CHANNELS]],
  ["UNLISTEN", "shared", ["listen c", CHANNELS, "unlisten *", CHANNELS]],
  ["a LISTEN that is rolled back", "shared", ["begin", "listen c", "rollback", CHANNELS]],
  [
    "CREATE TEMP TABLE",
    "kept",
    ["create temp table mine (a int)", "insert into mine values (1)", "select a from mine"],
  ],
  [
    "DROP of a temporary table",
    "shared",
    ["create temp table mine (a int)", "table mine", "drop table mine", "table mine"],
  ],
  [
    "a temporary table that ends with its transaction",
    "shared",
    [
      "begin",
      "create temp table mine on commit drop as select 5 as a",
      "table mine",
      "commit",
      "table mine",
    ],
  ],
  ["SELECT INTO TEMP", "kept", ["select 3 as a into temp mine", "table mine"]],
  [
    "a temporary function",
    "kept",
    ["create function pg_temp.f() returns int language sql as 'select 4'", "select pg_temp.f()"],
  ],
  ["DISCARD TEMP", "shared", ["create temp table mine (a int)", "discard temp", "table mine"]],
  ["an advisory lock", "kept", ["select pg_advisory_lock(5)", "select pg_try_advisory_lock(5)"]],
  [
    "an advisory lock that is given back",
    "shared",
    ["select pg_advisory_lock(5)", "select pg_advisory_unlock(5)", "select pg_advisory_unlock(5)"],
  ],
  [
    "an advisory lock of a transaction",
    "shared",
    ["begin", "select pg_advisory_xact_lock(5)", "commit"],
  ],
  [
    "an advisory lock in a statement that fails",
    "kept",
    ["select pg_advisory_lock(5), 1 / (random() * 0)::int"],
  ],
  [
    "DECLARE WITH HOLD",
    "kept",
    ["declare c cursor with hold for select generate_series(1, 3) as a", "fetch c", "fetch c"],
  ],
  [
    "CLOSE",
    "shared",
    ["declare c cursor with hold for select 1 as a", "fetch c", "close c", "fetch c"],
  ],
  [
    "a cursor of a transaction",
    "shared",
    ["begin", "declare c cursor for select 1", "fetch c", "commit", "fetch c"],
  ],
  ["PREPARE", "shared", ["prepare p as select 11 as a", "execute p", "deallocate p", "execute p"]],
  [
    "EXECUTE of what leaves something",
    "kept",
    [
      "prepare p as select pg_advisory_lock(6)",
      "execute p",
      "select pg_advisory_unlock(6)",
      "execute p",
    ],
  ],
  [
    "EXECUTE of a set_config",
    "shared",
    ["prepare p (text) as select set_config('app.who', $1, false)", "execute p('x')", WHO],
  ],
  ["LOAD", "kept", ["load 'auto_explain'", "show auto_explain.log_min_duration"]],
  [
    "DO",
    "shared",
    ["do $$ begin perform set_config('work_mem', '5MB', false); end $$", "show work_mem"],
  ],
  [
    "DO with something that stays",
    "kept",
    ["do $$ begin create temp table mine (a int); end $$", "table mine"],
  ],
  [
    "DISCARD ALL",
    "shared",
    [
      "set app.who = 'x'; listen c",
      "create temp table mine (a int)",
      "prepare p as select 1",
      "select pg_advisory_lock(7)",
      "discard all",
      WHO,
      CHANNELS,
      "table mine",
      "execute p",
      "select pg_advisory_unlock(7)",
    ],
  ],
  ["a function that sets", "shared", ["select sets()", "show work_mem", WHO]],
  ["a function that sets, in a transaction", "shared", ["begin", "select sets()", "commit", WHO]],
  ["a function that sets for its transaction", "shared", ["select sets_locally()", WHO]],
  ["a function that calls one that sets", "shared", ["select outer_one()", "show work_mem", WHO]],
  ["a function that takes a role", "shared", ["select takes_role()", "select current_user"]],
  ["a function that makes a table", "kept", ["select makes_table()", "table made"]],
  [
    "a function that locks",
    "kept",
    ["select locks()", "select pg_advisory_unlock(77)", "select locks()"],
  ],
  ["a function that listens", "kept", ["select listens()", CHANNELS]],
  ["a function that prepares", "shared", ["select prepares()", "execute made"]],
  ["a function that opens a cursor", "kept", ["select opens()", "fetch made", "fetch made"]],
  ["a function among what is inserted", "shared", ["insert into t values (sets())", WHO]],
  ["a function in a text of PREPARE", "shared", ["prepare p as select sets()", "execute p", WHO]],
  ["a trigger", "shared", ["insert into watched values (1)", "show work_mem", WHO]],
  [
    "a function that resets",
    "shared",
    ["set work_mem = '3MB'", "select resets()", "show work_mem"],
  ],
  ["DO with a role", "shared", ["do $$ begin set role somebody; end $$", "select current_user"]],
  [
    "DO with another user",
    "kept",
    ["do $$ begin set session authorization somebody; end $$", "select session_user, current_user"],
  ],
  [
    "DO with RESET ALL",
    "shared",
    ["set work_mem = '3MB'", "do $$ begin reset all; end $$", "show work_mem"],
  ],
  ["DO that listens", "kept", ["do $$ begin listen c; end $$", CHANNELS]],
  [
    "DO that prepares",
    "shared",
    ["do $$ begin execute 'prepare p as select 5'; end $$", "execute p"],
  ],
  ["CALL of what sets", "shared", ["call sets_too()", "show work_mem", WHO]],
  ["a text that is no SQL", "shared", ["set app.who = 'x'", "selec", WHO]],
];

describe.each([
  ["one server", "simple"],
  ["one server", "extended"],
  ["two servers", "simple"],
] as const)("what is left behind on %s in the %s protocol by", (servers, mode) => {
  // Several statements in one text are for the simple protocol only.
  const stories = STORIES.filter((story) => mode === "simple" || !story[2].some(isSeveral));

  test.each(stories)("%s is %s, and only seen by who left it", async (_, end, statements) => {
    const expected: string[] = [];
    const direct = await connect(postgres.servers[0]?.port);
    for (const statement of statements) expected.push(await tell(direct, statement, mode));
    await direct.end();

    const port = workers[servers]?.port;
    const [one, other] = [await connect(port), await connect(port)];
    try {
      await other.query("set app.who = 'the other one'");
      const undisturbed = await lookAround(other);
      const told: string[] = [];
      let seen: string[] = [];
      for (const statement of statements) {
        told.push(await tell(one, statement, mode));
        seen = await lookAround(other);
        for (const [i, answer] of seen.entries()) {
          expect([undisturbed[i], WAITED]).toContain(answer);
        }
      }
      expect(told).toEqual(expected);
      expect(seen[0] === WAITED ? "kept" : "shared").toBe(end);
      await one.end();
      await expect.poll(() => lookAround(other)).toEqual(undisturbed);
    } finally {
      await Promise.all([one.end(), other.end()]);
    }
  });
});

function isSeveral(text: string): boolean {
  return /; [^e]/.test(text);
}

const WAITED = "error 53300";

/** All that one client could see of another one's traces. */
const WHAT_IS_THERE = `select current_user, session_user,
  (select array_agg(name || '=' || setting order by name) from pg_settings where source = 'session') as settings,
  current_setting('app.who', true) as app,
  (select count(*) from pg_listening_channels()) as channels,
  (select count(*) from pg_class where relnamespace = pg_my_temp_schema()) as relations,
  (select count(*) from pg_proc where pronamespace = pg_my_temp_schema()) as functions,
  (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
  (select count(*) from pg_cursors where is_holdable) as cursors,
  (select count(*) from pg_prepared_statements where from_sql) as prepared`;

/** The same, as far as it may be asked on a standby. */
const WHAT_IS_READ = `select current_user, current_setting('app.who', true) as app,
  current_setting('work_mem') as mem, current_setting('DateStyle') as style,
  current_setting('TimeZone') as zone, current_setting('search_path') as path,
  current_setting('default_transaction_read_only') as read_only`;

async function lookAround(client: pg.Client): Promise<string[]> {
  return [await tell(client, WHAT_IS_THERE), await tell(client, WHAT_IS_READ)];
}

async function connect(port: number | undefined): Promise<pg.Client> {
  const at = { host: "127.0.0.1", port, user: "postgres", database: "bench" };
  const client = new pg.Client(at);
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** What the client is told: rows or the code of an error, and codes of notices. */
async function tell(
  client: pg.Client,
  text: string,
  queryMode: "simple" | "extended" = "simple",
): Promise<string> {
  const notices: string[] = [];
  const note = (notice: { code?: string | undefined }): number =>
    notices.push(`notice ${notice.code}`);
  client.on("notice", note);
  try {
    const results: unknown = await client.query(
      queryMode === "simple" ? text : ({ text, queryMode } as pg.QueryConfig),
    );
    const rows = [results].flat().map((one) => JSON.stringify((one as pg.QueryResult).rows));
    return [...rows, ...notices].join(" ");
  } catch (error) {
    return [`error ${(error as { code?: string }).code}`, ...notices].join(" ");
  } finally {
    client.off("notice", note);
  }
}
