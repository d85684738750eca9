/**
 * The commands in SQL beside the real Pgpool-II: the same names of columns, values, tags, messages
 * and counts. What differs on purpose stands here, and in docs/compatibility.md.
 */
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Configuration } from "./routing/configurations.ts";
import { PRODUCTS, Stage, USER, type ProductName } from "./routing/stage.ts";

const ROOT = join(import.meta.dirname, "../..");

let stage: Stage;
let clients: Readonly<Record<ProductName, pg.Client>>;
let over: () => void = () => undefined;
let done: Promise<void>;

beforeAll(async () => {
  stage = await Stage.start(ROOT);
  const configuration: Configuration = {
    name: "commands",
    weights: [1, 0, 0],
    lines: ["pgpool_compat_version = '4.3'"],
    files: [],
  };
  const isOver = new Promise<void>((resolve) => {
    over = resolve;
  });
  await new Promise<void>((ready, failed) => {
    done = stage.during(configuration, ["simple"], async (lanes) => {
      const opened = await Promise.all(
        lanes.map(async ({ product, port, database }) => {
          const client = new pg.Client({ host: "127.0.0.1", port, user: USER, database });
          client.on("error", () => undefined);
          await client.connect();
          return [product, client] as const;
        }),
      );
      clients = Object.fromEntries(opened) as typeof clients;
      ready();
      await isOver;
      await Promise.all(Object.values(clients).map((client) => client.end()));
    });
    done.catch(failed);
  });
}, 120_000);

afterAll(async () => {
  over();
  await done;
  await stage.stop();
});

/** What each answers: rows as text, or the error. */
async function both(text: string): Promise<readonly pg.QueryResult[]> {
  return await Promise.all(
    PRODUCTS.map(async (product) => {
      const result = await clients[product].query({ text, rowMode: "array" });
      // 4.3.5 describes the rows of two of them twice.
      return Array.isArray(result) ? (result.at(-1) as pg.QueryResult) : result;
    }),
  );
}

function cells(result: pg.QueryResult | undefined): readonly string[][] {
  return (result?.rows ?? []) as string[][];
}

function names(result: pg.QueryResult | undefined): readonly string[] {
  return result?.fields.map(({ name }) => name) ?? [];
}

test.each([
  "show pool_nodes",
  "show pool_processes",
  "show pool_pools",
  "show pool_version",
  "show pool_cache",
  "show pool_status",
  "show pool_health_check_stats",
  "show pool_backend_stats",
  "pgpool show port",
  "pgpool show PORT",
  "pgpool show backend_port",
  "pgpool show backend_port1",
  "pgpool show watchdog",
  "pgpool show all",
])("%s has the same columns", async (text) => {
  const [theirs, ours] = await both(text);
  expect(names(ours)).toEqual(names(theirs));
});

test("the servers, and what is known of them, are the same", async () => {
  const [theirs, ours] = await both("show pool_nodes");
  const known = (result: pg.QueryResult | undefined): unknown =>
    // Without select_cnt, the delay, which passes, and the time of the last change.
    cells(result).map((row) => [...row.slice(0, 8), row[9], ...row.slice(11, 13)]);
  expect(known(ours)).toEqual(known(theirs));
});

/** By their own files and ports, or because they say so in docs/compatibility.md. */
const OWN_VALUES = new Set([
  "port",
  "pcp_port",
  "socket_dir",
  "pcp_socket_dir",
  "pid_file_name",
  "logdir",
  // As the stage sets them.
  "child_max_connections",
  "enable_shared_relcache",
  // Debian's, and not acting here.
  "wd_ipc_socket_dir",
  "wd_lifecheck_user",
  "failover_on_backend_shutdown",
  // The text of a null pointer.
  "dml_adaptive_object_relationship_list",
  "database_redirect_preference_list",
  "app_name_redirect_preference_list",
  "memqcache_stats_start_time",
  // A file mode in decimal; stars where nothing is set.
  "log_file_mode",
  "wd_authkey",
]);

test.each(["show pool_status", "pgpool show all"])("%s has the same values", async (text) => {
  const [theirs, ours] = await both(text);
  const own = new Map(cells(ours).map(([item, value]) => [item, value]));
  const shared = cells(theirs).filter(([item = ""]) => own.has(item));
  expect(shared.length).toBeGreaterThan(140);
  const different = shared
    .filter(([item = "", value]) => own.get(item) !== value && !OWN_VALUES.has(item))
    .map(([item]) => item)
    .filter((item) => !/^standby_delay\d$/.test(item ?? ""));
  expect(different).toEqual([]);
});

test.each([
  "pgpool set log_statement to off",
  "pgpool set client_idle_limit to '2min'",
  "pgpool show client_idle_limit",
  "pgpool set client_idle_limit to default",
  "pgpool reset client_idle_limit",
  "pgpool reset all",
  "pgpool set check_unlogged_table = on;",
  "pgpool set port to 3",
  "pgpool set backend_port0 to 1",
  "pgpool set nosuch to 1",
  "pgpool set client_idle_limit to foo",
  "pgpool reset port",
  "pgpool reset nosuch",
  "pgpool show nosuch",
])("%s is answered alike", async (text) => {
  const answers = await Promise.all(
    PRODUCTS.map(async (product) => {
      try {
        const { command, rows } = await clients[product].query({ text, rowMode: "array" });
        return { command, rows };
      } catch (error) {
        return error instanceof Error ? error.message : error;
      }
    }),
  );
  expect(answers[1]).toEqual(answers[0]);
});

test("statements and errors are counted alike", async () => {
  const before = await counts();
  for (const text of COUNTED) {
    await Promise.all(
      PRODUCTS.map((product) => clients[product].query(text).catch(() => undefined)),
    );
  }
  const after = await counts();
  const grown = after.map((all, index) =>
    all.map((count, at) => count - (before[index]?.[at] ?? 0)),
  );
  expect(grown[1]).toEqual(grown[0]);
});

const COUNTED = [
  "create table counted (a int)",
  "insert into counted values (1)",
  "with a as (select 1) insert into counted select * from a",
  "update counted set a = 2",
  "delete from counted",
  "values (1)",
  "select 1 from counted for update",
  "select nothing",
  "begin",
  "savepoint a",
  "rollback",
  "truncate counted",
  "analyze counted",
  "comment on table counted is 'x'",
  "explain select 1",
  "prepare counted as select 1",
  "execute counted",
  "deallocate counted",
  "lock table counted",
  "listen counted",
  "drop table counted",
];

/** Of the primary, to which all of it goes. */
async function counts(): Promise<readonly (readonly number[])[]> {
  const results = await both("show pool_backend_stats");
  return results.map((result) => cells(result)[0]?.slice(5).map(Number) ?? []);
}
