import { describe, expect, test } from "vitest";
import { LEAVES } from "../../../../../src/proxy/core/sql/index.ts";
import { realClassifier } from "./parser.ts";

const classifier = await realClassifier();

type Bit = keyof typeof LEAVES;
type Row = [text: string, leaves: Bit[], clears?: Bit[], names?: string[] | null];

const ROWS: Row[] = [
  ["select 1", []],
  ["select lower('pg_advisory_lock')", []],
  ["insert into t values ('set_config')", []],
  ["insert into t values (1)", []],
  ["begin", []],
  ["commit", []],
  ["show search_path", []],
  ["notify a", []],
  ["create table t (a int)", []],
  ["fetch 1 from c", []],
  ["prepare transaction 'x'", []],
  ["", []],
  // Settings.
  ["set search_path = a, b", ["settings"], [], ["search_path"]],
  ["SET SESSION DateStyle = iso", ["settings"], [], ["datestyle"]],
  ['set "App"."User" = 1', ["settings"], [], ["app.user"]],
  ["set a.b.c = 1", ["settings"], [], ["a.b.c"]],
  ["set time zone 'UTC'", ["settings"], [], ["timezone"]],
  ["set names 'utf8'", ["settings"], [], ["client_encoding"]],
  ["reset search_path", ["settings"], [], null],
  ["set search_path to default", ["settings"], [], null],
  ["set time zone local", ["settings"], [], null],
  ["select 1; reset search_path; set a = 1", ["settings"], [], null],
  ["select 1; set a.b = default", ["settings"], [], null],
  ["reset all", ["settings"], [], null],
  ["set local search_path = a", []],
  ["set transaction read only", []],
  ["set transaction_isolation = 'serializable'", []],
  ["set constraints all deferred", []],
  [
    "set session characteristics as transaction read only",
    ["settings"],
    [],
    [
      "default_transaction_isolation",
      "default_transaction_read_only",
      "default_transaction_deferrable",
    ],
  ],
  ["select set_config('App.User', 'x', false)", ["settings"], [], ["app.user"]],
  ["select pg_catalog.set_config('a.b', $1, $2)", ["settings"], [], ["a.b"]],
  ["select set_config($1, $2, false)", ["settings"], [], null],
  ["select set_config('a.' || 'b', 'c', false)", ["settings"], [], null],
  ["select set_config('a.b', 'c', true)", []],
  ["insert into t select set_config('a.b', 'c', false)", ["settings"], [], ["a.b"]],
  ["select set_config('role', 'x', false)", ["role"], [], ["role"]],
  ["set role x", ["role"], [], ["role"]],
  ["reset role", ["role"], [], ["role"]],
  ["set local role x", []],
  ["set session authorization x", ["role"], [], ["session_authorization"]],
  ["set session session authorization x", ["role"], [], ["session_authorization"]],
  ["set local session authorization x", []],
  // What lives in the server process.
  ["listen a", ["listening"]],
  ["unlisten *", [], ["listening"]],
  ["create temp table t (a int)", ["temporary"]],
  ["create temporary view v as select 1", ["temporary"]],
  ["create table pg_temp.t (a int)", ["temporary"]],
  ["create function pg_temp.f() returns int language sql return 1", ["temporary"]],
  ["create type pg_temp.e as enum ('a')", ["temporary"]],
  ["select * into temp x from t", ["temporary"]],
  ["select * into pg_temp.x from t", ["temporary"]],
  ["select * from pg_temp.t", []],
  ["explain analyze create temp table t as select 1", ["temporary"]],
  ["drop table t", [], ["temporary"]],
  ["discard temp", [], ["temporary"]],
  ["select pg_advisory_lock(1)", ["advisoryLocks"]],
  ["select pg_catalog.pg_try_advisory_lock_shared(1, 2)", ["advisoryLocks"]],
  ["update t set a = 1 where pg_try_advisory_lock(1)", ["advisoryLocks"]],
  ["select pg_advisory_xact_lock(1)", []],
  ["select mine.pg_advisory_lock(1)", []],
  ["select pg_advisory_unlock(1)", [], ["advisoryLocks"]],
  ["select pg_advisory_unlock_all()", [], ["advisoryLocks"]],
  ["declare c cursor for select 1", []],
  ["declare c cursor without hold for select 1", []],
  ["declare c scroll cursor with hold for select 1", ["cursors"]],
  ["close all", [], ["cursors"]],
  ["load 'auto_explain'", ["process"]],
  ["select pg_create_logical_replication_slot('a', 'b', true)", ["process"]],
  // Statements prepared in SQL.
  ["prepare p as select 1", ["prepared"]],
  ["execute p", ["executes"]],
  ["create table t as execute p", ["executes"]],
  ["explain analyze execute p", ["executes"]],
  ["deallocate p", [], ["prepared"]],
  ["deallocate all", [], ["prepared"]],
  [
    "discard all",
    ["settings"],
    ["settings", "role", "listening", "temporary", "advisoryLocks", "cursors", "prepared"],
    null,
  ],
  ["discard plans", []],
  // Anything.
  ["do $$ begin end $$", ["unknown"], [], null],
  ["call p()", ["unknown"], [], null],
  ["selec 1", ["unknown"], [], null],
  // Several statements leave what each of them does.
  ["begin; set a.b = 1; listen x; commit", ["settings", "listening"], [], ["a.b"]],
  ["select 1; reset all; set a = 1", ["settings"], [], null],
  ["select 1; declare c cursor with hold for select 1", ["cursors"]],
  ["select 1; prepare p as select 1; deallocate all", ["prepared"], ["prepared"]],
  [
    "select 1; set session characteristics as transaction read only; discard all",
    ["settings"],
    ["settings", "role", "listening", "temporary", "advisoryLocks", "cursors", "prepared"],
    null,
  ],
  ["select 1; set local a = 1; set transaction read only", []],
  ["select 1; do 'x'", ["unknown"], [], null],
  [
    "select pg_advisory_unlock_all(); close all; unlisten *",
    [],
    ["advisoryLocks", "cursors", "listening"],
  ],
];

describe("what may be left in the session", () => {
  test.each(ROWS)("by %s is %j", (text, leaves, clears = [], names = []) => {
    const found = classifier.classify(text);
    expect({ leaves: bitsOf(found.leaves), clears: bitsOf(found.clears) }).toEqual({
      leaves: [...leaves].sort(),
      clears: [...clears].sort(),
    });
    expect(found.settingNames).toEqual(names);
  });

  test("by a prepared statement is told by its PREPARE", () => {
    const left = (text: string): Bit[] => bitsOf(classifier.classify(text).leavesWhenExecuted);
    expect(left("prepare p as select pg_advisory_lock(1)")).toEqual(["advisoryLocks"]);
    expect(left("prepare p as select set_config('a.b', $1, false)")).toEqual(["settings"]);
    expect(left("prepare p as select 1")).toEqual([]);
    expect(left("select 1; prepare p as select pg_advisory_lock(1)")).toEqual(["advisoryLocks"]);
    const found = classifier.classify("prepare p as select set_config('a.b', $1, false)");
    expect(found).toMatchObject({ kind: "prepare", name: "p", settingNames: ["a.b"] });
  });

  test("is not the same for two parameters of set_config", () => {
    for (const name of ["a.b", "a.c"]) {
      const text = `select set_config('${name}', 'x', false) where 1 = 1`;
      expect(classifier.classify(text).settingNames).toEqual([name]);
    }
  });

  test("is known by name when it has a dot, whatever else goes back to its default", () => {
    const custom = (text: string): readonly string[] => classifier.classify(text).customSettings;
    expect(custom("set A.b = 1")).toEqual(["a.b"]);
    expect(custom("set a.b = 1; reset all; set a.c to default")).toEqual(["a.b"]);
    expect(custom("set work_mem = '1MB'")).toEqual([]);
  });

  test("may be anything after a text too long to be read", () => {
    const text = `select 1 ${" ".repeat(300_000)}`;
    expect(bitsOf(classifier.classify(text).leaves)).toEqual(["unknown"]);
  });
});

function bitsOf(mask: number): Bit[] {
  return (Object.keys(LEAVES) as Bit[]).filter((bit) => (mask & LEAVES[bit]) !== 0).sort();
}
