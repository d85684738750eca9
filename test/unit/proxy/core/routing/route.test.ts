import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  nextPinned,
  reasonText,
  route,
  type RoutingConfig,
  type RoutingContext,
} from "../../../../../src/proxy/core/routing/index.ts";
import { realClassifier } from "../sql/parser.ts";
import { backend, context, view } from "./context.ts";

const classifier = await realClassifier();

function targets(
  text: string,
  own: Partial<RoutingContext> = {},
  ownConfig: Partial<RoutingConfig> = {},
): readonly number[] {
  return route(classifier.classify(text), context({ text, ...own }, ownConfig)).targets;
}

/**
 * What Pgpool-II 4.3.5 does on a running pair (routing-rules, live check). Where it sends a
 * statement elsewhere than we do, the reason stands beside it.
 */
describe("as in Pgpool-II", () => {
  test.each([
    "select 1",
    "select * from t",
    "select * from v where a = 1",
    "select lower(a) from t",
    "select now(), current_date",
    "select current_setting('x')",
    " select 1",
    "with w as (select 1) select * from w",
    "table t",
    "copy t to stdout",
    "copy (select 1) to stdout",
    "show work_mem",
    "select * from information_schema.tables",
  ])("%s goes to the read node", (text) => {
    expect(targets(text)).toEqual([1]);
  });

  test.each([
    "/* x */ select 1",
    "-- x\nselect 1",
    "/*NO LOAD BALANCE*/ select 1",
    "select * from pg_class",
    "select * from pg_catalog.pg_class",
    "select nextval('s')",
    "select setval('s', 1)",
    "select random()",
    "select clock_timestamp()",
    "select pg_advisory_lock(1)",
    "select lo_creat(-1)",
    "select pg_is_in_recovery()",
    "select pg_sleep(1)",
    "select * from t for update",
    "select * from t for share",
    "select * into x from t",
    "with w as (insert into t values (1) returning *) select * from w",
    "explain select 1",
    "explain analyze select 1",
    "prepare p as select 1",
    "execute p",
    "deallocate p",
    "declare c cursor for select 1",
    "fetch c",
    "close c",
    "listen a",
    "notify a",
    "vacuum",
    "analyze t",
    "lock table t",
    "checkpoint",
    "do $$ begin end $$",
    "call p()",
    "create table x (a int)",
    "truncate t",
    "merge into t using u on a = b when matched then delete",
    "select 1; select 2",
    "insert into t values (1)",
    "update t set a = 1",
    "delete from t",
    "copy t from stdin",
    "selec",
    "set transaction_read_only to off",
    "set transaction read write",
    "set transaction isolation level serializable",
    "set default_transaction_isolation = 'serializable'",
  ])("%s goes to the primary", (text) => {
    expect(targets(text)).toEqual([0]);
  });

  test.each(["set search_path = a", "reset search_path", "set local a.b = 1", "discard all"])(
    "%s goes to both",
    (text) => {
      expect(targets(text)).toEqual([0, 1]);
    },
  );
});

describe("other than in Pgpool-II", () => {
  test.each([
    ["a list of values is a read", "values (1)", [1]],
    ["txid_current fails on a standby", "select txid_current()", [0]],
    ["pg_backend_pid names a process to be cancelled later", "select pg_backend_pid()", [0]],
    ["volatility is not looked up", "select my_stable_function()", [0]],
    ["clients ask this to find the primary", "show transaction_read_only", [0]],
    ["a transaction stays on the primary", "begin", [0]],
    ["its end too", "commit", [0]],
    ["its savepoints too", "savepoint a", [0]],
    ["an empty text is a read", "", [1]],
  ])("%s: %s", (_, text, expected) => {
    expect(targets(text)).toEqual(expected);
  });

  test.each(["select 1", "set a.b = 1", "show work_mem", "copy t to stdout", "discard all"])(
    "in a transaction even %s goes to the primary",
    (text) => {
      expect(targets(text, { inTransaction: true })).toEqual([0]);
    },
  );
});

test.each([["show pool_nodes"], ["pgpool show port"]])("%s goes nowhere", (text) => {
  expect(route(classifier.classify(text), context())).toMatchObject({
    targets: [],
    reason: { rule: "here" },
  });
});

describe("functions", () => {
  const some = "select get_a(), s.get_b(), count(*)";
  const pick = (own: Partial<RoutingConfig>, text = some) => targets(text, {}, own)[0];

  test("on read_only_function_list are reads, in any case and with their schema as written", () => {
    expect(pick({ read_only_function_list: ["GET_.*", "s\\.get_b", "count"] })).toBe(1);
    expect(pick({ read_only_function_list: ["get_.*", "count"] })).toBe(0);
    expect(pick({ read_only_function_list: ["et_.*", "s\\.get_b", "count"] })).toBe(0);
  });

  test("are all to be listed when there is a read_only_function_list, PostgreSQL's own as well", () => {
    expect(pick({ read_only_function_list: ["get_.*"] }, "select count(*) from t")).toBe(0);
    expect(pick({ read_only_function_list: ["count"] }, "select count(*) from t")).toBe(1);
  });

  test("not on write_function_list are reads when that is the only list", () => {
    expect(pick({ write_function_list: ["put_.*"] })).toBe(1);
    expect(pick({ write_function_list: [".*get_b"] })).toBe(0);
  });

  test("of PostgreSQL that write do so whatever write_function_list says", () => {
    expect(pick({ write_function_list: ["put_.*"] }, "select nextval('s')")).toBe(0);
  });

  test("are named by the reason", () => {
    const { reason } = route(classifier.classify(some), context());
    expect(reasonText(reason)).toMatch(/get_a|get_b/);
  });

  test("of pg_catalog may be written with their schema, those of others may not", () => {
    expect(targets("select pg_catalog.lower(a) from t")).toEqual([1]);
    expect(targets("select s.lower(a) from t")).toEqual([0]);
  });
});

describe("parameters", () => {
  test("allow_sql_comments lets a commented read go", () => {
    expect(targets("/* x */ select 1", {}, { allow_sql_comments: true })).toEqual([1]);
  });

  test("a COPY is read on a standby whatever stands before it", () => {
    expect(targets("/* x */ copy (select 1) to stdout")).toEqual([1]);
    const own = { ignore_leading_white_space: false };
    expect(targets(" copy (select 1) to stdout", {}, own)).toEqual([1]);
  });

  test("ignore_leading_white_space off keeps an indented read on the primary", () => {
    expect(targets(" select 1", {}, { ignore_leading_white_space: false })).toEqual([0]);
    expect(targets(" ", {}, { ignore_leading_white_space: false })).toEqual([0]);
  });

  test("primary_routing_query_pattern_list matches the whole text, in any case", () => {
    const own = { primary_routing_query_pattern_list: [".*from T1.*"] };
    expect(targets("select *\nfrom t1\nwhere a = 1", {}, own)).toEqual([0]);
    expect(targets("select * from t2", {}, own)).toEqual([1]);
    expect(
      targets("select 1, 2", {}, { primary_routing_query_pattern_list: ["select 1"] }),
    ).toEqual([1]);
  });

  test("POSIX classes in patterns are understood, and bad patterns match nothing", () => {
    const own = { primary_routing_query_pattern_list: ["(", "select[[:space:]]+x"] };
    expect(targets("select   x", {}, own)).toEqual([0]);
    expect(targets("(", {}, own)).toEqual([0]);
  });

  test("load_balance_mode off keeps everything on the primary", () => {
    const own = { load_balance_mode: false };
    expect(targets("select 1", {}, own)).toEqual([0]);
    expect(targets("set a.b = 1", {}, own)).toEqual([0]);
  });

  test("statement_level_load_balance sends settings to all that live", () => {
    const backends = [backend(0), backend(1), backend(2), backend(3, { state: "down" })];
    const own = { statement_level_load_balance: true };
    expect(targets("set a.b = 1", { view: view({ backends }) }, own)).toEqual([0, 1, 2]);
    expect(targets("select 1", { view: view({ backends }) }, own)).toEqual([1]);
  });

  test("disable_load_balance_on_write = always keeps reads after a write on the primary", () => {
    const always = { disable_load_balance_on_write: "always" } as const;
    expect(targets("select 1", { writeSeen: true }, always)).toEqual([0]);
    expect(targets("select 1", { writeSeen: true })).toEqual([1]);
    expect(targets("select 1", { writeSeen: false }, always)).toEqual([1]);
  });
});

test.each([
  ["select 1", false],
  ["select my_function()", true],
  ["insert into t values (1)", true],
  ["select * from t for update", true],
  ["begin", false],
  ["commit", false],
  ["set a.b = 1", true],
  ["explain select 1", false],
  ["copy t to stdout", false],
  ["copy t from stdin", true],
  ["selec", true],
])("%s counts as a write: %s", (text, expected) => {
  expect(route(classifier.classify(text), context()).writes).toBe(expected);
});

test("a temporary table of the session is read where it is", () => {
  const tempRelations = new Set(["x"]);
  expect(targets("select * from x", { tempRelations })).toEqual([0]);
  expect(targets("select * from pg_temp.x", { tempRelations })).toEqual([0]);
  expect(targets("with x as (select * from x) select * from x", { tempRelations })).toEqual([0]);
  expect(targets("select * from y", { tempRelations })).toEqual([1]);
  expect(targets("select * from x", { tempRelations }, { check_temp_table: "none" })).toEqual([1]);
});

describe("a setting that only the primary has", () => {
  const after = (text: string, own: Partial<RoutingContext> = {}, pinned = false) => {
    const sql = classifier.classify(text);
    return nextPinned(pinned, sql, route(sql, context(own)));
  };

  test("ties later reads to the primary", () => {
    expect(after("set search_path = a", { inTransaction: true })).toBe(true);
    expect(after("select set_config('a.b', 'c', false)")).toBe(true);
    expect(after("select 1; set search_path = a")).toBe(true);
    expect(targets("select 1", { pinned: true })).toEqual([0]);
  });

  test("is none when it went to both, is for the transaction alone, or there is one backend", () => {
    expect(after("set search_path = a")).toBe(false);
    expect(after("set local search_path = a", { inTransaction: true })).toBe(false);
    expect(after("set search_path = a", { inTransaction: true, loadBalanceNode: 0 })).toBe(false);
  });

  test("is forgotten by DISCARD ALL, and by nothing else", () => {
    expect(after("discard all", { pinned: true }, true)).toBe(false);
    expect(after("discard plans", { pinned: true }, true)).toBe(true);
    expect(after("select 1", { pinned: true }, true)).toBe(true);
  });

  test("may be changed everywhere while the session is tied", () => {
    expect(targets("set a.b = 1", { pinned: true })).toEqual([0, 1]);
  });
});

describe("when a backend is missing", () => {
  const without = (id: number) =>
    view({
      backends: [0, 1, 2].map((each) => backend(each, each === id ? { state: "down" } : {})),
    });

  test("reads of its sessions go to another", () => {
    expect(targets("select 1", { view: without(1), randomUnit: 0.9 })).toEqual([2]);
    expect(targets("set a.b = 1", { view: without(1), randomUnit: 0.9 })).toEqual([0, 2]);
  });

  test("a quarantined one is missing too", () => {
    const backends = [backend(0), backend(1, { quarantined: true }), backend(2)];
    expect(targets("select 1", { view: view({ backends }), randomUnit: 0.9 })).toEqual([2]);
  });

  test.each([
    ["is down", view({ backends: without(0).backends })],
    ["is not known", view({ primaryId: null })],
  ])("reads go on and writes are refused with a reason when the primary %s", (_, view) => {
    expect(targets("select 1", { view })).toEqual([1]);
    expect(targets("set a.b = 1", { view })).toEqual([1]);
    const write = route(classifier.classify("insert into t values (1)"), context({ view }));
    expect(write.targets).toEqual([]);
    expect(write.reason).toMatchObject({ rule: "no-primary", because: { kind: "write" } });
  });

  test("with all of them gone a read has no target either", () => {
    expect(
      route(classifier.classify("select 1"), context({ view: view({ backends: [] }) })),
    ).toMatchObject({
      targets: [],
      reason: { rule: "no-backend" },
    });
  });
});

describe("a read node that is too far behind", () => {
  const lagging = view({
    backends: [
      backend(0),
      backend(1, { replicationDelayBytes: 500 }),
      backend(2, { replicationDelayBytes: 50 }),
    ],
  });

  test("is left for the primary", () => {
    expect(targets("select 1", { view: lagging }, { delay_threshold: 100 })).toEqual([0]);
  });

  test("is left for the least delayed standby with prefer_lower_delay_standby", () => {
    const own = { delay_threshold: 100, prefer_lower_delay_standby: true };
    expect(targets("select 1", { view: lagging }, own)).toEqual([2]);
    expect(targets("select 1", { view: lagging }, { ...own, delay_threshold: 10 })).toEqual([0]);
  });

  test("is judged by time where delay_threshold_by_time is set, whatever the bytes are", () => {
    const slow = view({
      backends: [
        backend(0, { replicationDelayMs: 9000 }),
        backend(1, { replicationDelayMs: 2001 }),
        backend(2, { replicationDelayMs: 400, replicationDelayBytes: 5000 }),
      ],
    });
    const own = { delay_threshold_by_time: 2000, delay_threshold: 100 };
    expect(targets("select 1", { view: slow }, own)).toEqual([0]);
    const preferring = { ...own, prefer_lower_delay_standby: true };
    expect(targets("select 1", { view: slow }, preferring)).toEqual([2]);
    const later = { ...own, delay_threshold_by_time: 2001 };
    expect(targets("select 1", { view: slow }, later)).toEqual([1]);
    expect(targets("select 1", { view: lagging }, own)).toEqual([1]);
  });

  test("is used when there is no primary, or no threshold", () => {
    const noPrimary = { ...lagging, primaryId: null };
    expect(targets("select 1", { view: noPrimary }, { delay_threshold: 100 })).toEqual([1]);
    expect(targets("select 1", { view: lagging })).toEqual([1]);
  });
});

test("whatever the cluster looks like, targets live and the primary comes first", () => {
  const anyBackend = fc.record({
    state: fc.constantFrom("up" as const, "waiting" as const, "down" as const, "unused" as const),
    quarantined: fc.boolean(),
    weight: fc.constantFrom(0, 0.2, 0.5),
    replicationDelayBytes: fc.nat(200),
  });
  const anyText = fc.constantFrom(
    "select 1",
    "insert into t values (1)",
    "set a.b = 1",
    "begin",
    "select f()",
  );
  fc.assert(
    fc.property(
      fc.array(anyBackend, { maxLength: 5 }),
      fc.option(fc.nat(5)),
      fc.option(fc.nat(5)),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      anyText,
      fc.boolean(),
      (owns, primaryId, loadBalanceNode, randomUnit, text, everywhere) => {
        const backends = owns.map((own, id) => backend(id, own));
        const sql = classifier.classify(text);
        const { targets } = route(
          sql,
          context(
            { view: view({ backends, primaryId }), loadBalanceNode, randomUnit },
            { delay_threshold: 100, statement_level_load_balance: everywhere },
          ),
        );
        const live = backends.filter((b) => !b.quarantined && ["up", "waiting"].includes(b.state));
        for (const id of targets) expect(live.map((b) => b.id)).toContain(id);
        expect(new Set(targets).size).toBe(targets.length);
        if (sql.destination !== "either") {
          const primaryLives = live.some((b) => b.id === primaryId);
          if (primaryLives) expect(targets[0]).toBe(primaryId);
          else if (sql.destination === "primary") expect(targets).toEqual([]);
        } else if (text === "select 1" && live.length > 0) expect(targets).toHaveLength(1);
      },
    ),
  );
});
