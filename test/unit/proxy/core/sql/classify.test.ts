import { describe, expect, test } from "vitest";
import type { SqlClass, SqlKind } from "../../../../../src/proxy/core/sql/index.ts";
import { realClassifier } from "./parser.ts";

const classifier = await realClassifier();

type Row = [text: string, kind: SqlKind, destination: SqlClass["destination"], Partial<SqlClass>?];

const ROWS: Row[] = [
  // Reads.
  ["select 1", "read", "either"],
  ["SELECT * FROM s.t, u", "read", "either", { relations: ["u", "s.t"] }],
  ["  (select 1)", "read", "either", { leadingWhiteSpace: true }],
  ["values (1)", "read", "either"],
  ["table t", "read", "either", { relations: ["t"] }],
  ["with x as (select 1 from t) select * from x", "read", "either", { relations: ["x", "t"] }],
  ['select lower(a), s.F(b), "S"."G"()', "read", "either", { functions: ["S.G", "s.f", "lower"] }],
  ["select x from t where y in (select f() from u)", "read", "either", { functions: ["f"] }],
  ["select current_date, a::int, case when b then 1 end", "read", "either", { functions: [] }],
  [
    "select count(*) over (partition by g(a)) from t",
    "read",
    "either",
    { functions: ["count", "g"] },
  ],
  ["select * from generate_series(1, 2)", "read", "either", { functions: ["generate_series"] }],
  ["/* hint */ select 1", "read", "either", { leadingComment: true }],
  [" -- x\nselect 1", "read", "either", { leadingComment: true, leadingWhiteSpace: true }],
  ["select 1 /* not leading */", "read", "either", { leadingComment: false }],
  ["select 1;", "read", "either", { multi: false }],
  ["; select 1 ;;", "read", "either", { multi: false }],
  // Selects that write.
  ["select * from t for update", "write", "primary"],
  ["select * from t for key share skip locked", "write", "primary"],
  ["select * from (select * from t for share) x", "write", "primary"],
  ["select * into x from t", "write", "primary", { createsTemp: [] }],
  ["select * into temp x from t", "write", "primary", { createsTemp: ["x"] }],
  ["with w as (insert into t values (1) returning *) select * from w", "write", "primary"],
  ["with w as (delete from t returning *) select * from w", "write", "primary"],
  [
    "select 1 union (with w as (update t set a = 1 returning a) select a from w)",
    "write",
    "primary",
  ],
  ["select set_config('a.b', 'c', false)", "read", "either", { changesSession: true }],
  ["select set_config('a.b', 'c', true)", "read", "either", { changesSession: false }],
  // Changes of data and of the schema.
  ["insert into t values (1)", "write", "primary", { relations: ["t"], decidedBy: "lexer" }],
  ["INSERT INTO s.t SELECT f() FROM u", "write", "primary", { relations: ["s.t"] }],
  ["update only t set a = 1", "write", "primary", { relations: ["t"] }],
  ["delete from \"T\" where a = ';'", "write", "primary", { relations: ["T"], multi: false }],
  ["merge into t using u on a = b when matched then delete", "write", "primary"],
  ["truncate t, u", "write", "primary"],
  ["create table t (a int)", "write", "primary", { createsTemp: [] }],
  ["create temp table t (a int)", "write", "primary", { createsTemp: ["t"], decidedBy: "parser" }],
  ["create table pg_temp.t (a int)", "write", "primary", { createsTemp: ["t"] }],
  ["create temporary table t as select 1", "write", "primary", { createsTemp: ["t"] }],
  ["alter table a rename to b", "write", "primary", { createsTemp: ["b"] }],
  ["do $$ begin end $$", "write", "primary", { changesSession: true }],
  ["call p()", "write", "primary", { changesSession: true }],
  ["create temp view v as select 1", "write", "primary", { createsTemp: ["v"] }],
  ["create temp sequence q", "write", "primary", { createsTemp: ["q"] }],
  ["drop table a, s.b", "write", "primary", { relations: ["a", "s.b"] }],
  [
    "create function f() returns int begin atomic select 1; select 2; end",
    "write",
    "primary",
    { multi: false },
  ],
  ["vacuum", "write", "primary"],
  ["analyze t", "write", "primary"],
  ["lock table t in share mode", "write", "primary"],
  ["checkpoint", "write", "primary"],
  ["refresh materialized view m", "write", "primary"],
  // Transactions.
  ["begin", "begin", "primary"],
  ["START TRANSACTION isolation level serializable;", "begin", "primary"],
  ["commit work", "commit", "primary"],
  ["end", "commit", "primary"],
  ["abort", "rollback", "primary"],
  ["rollback", "rollback", "primary"],
  ["rollback to savepoint a", "savepoint", "primary", { name: "a" }],
  ["savepoint a", "savepoint", "primary", { name: "a" }],
  ["release savepoint a;", "savepoint", "primary", { name: "a" }],
  ["prepare transaction 'x'", "two-phase", "primary"],
  ["commit prepared 'x'", "two-phase", "primary"],
  ["rollback prepared 'x'", "two-phase", "primary"],
  // Settings.
  ["set search_path to a, b", "set", "both", { name: "search_path", changesSession: true }],
  ["SET a.b = 'c'", "set", "both", { name: "a.b" }],
  ["set time zone 'UTC'", "set", "both", { name: "timezone" }],
  ["set names 'utf8'", "set", "both", { name: "client_encoding" }],
  ["set session authorization x", "set", "both", { name: "session_authorization" }],
  ["set session search_path = x", "set", "both", { name: "search_path" }],
  ["set role none", "set", "both", { name: "role" }],
  ["set local search_path = x", "set", "both", { changesSession: false, name: "search_path" }],
  ["set transaction read only", "set", "both", { changesSession: false }],
  ["set transaction read write", "set", "primary", { changesSession: false }],
  ["set transaction isolation level serializable", "set", "primary"],
  ["set session characteristics as transaction read only", "set", "both", { changesSession: true }],
  [
    "set session characteristics as transaction read write",
    "set",
    "primary",
    { changesSession: false },
  ],
  [
    "set session characteristics as transaction isolation level serializable",
    "set",
    "primary",
    { changesSession: true },
  ],
  ["set transaction_read_only to off", "set", "primary"],
  ["set transaction_read_only = 'f'", "set", "primary"],
  ["set transaction_read_only to on", "set", "both"],
  [
    "set default_transaction_isolation = 'serializable'",
    "set",
    "primary",
    { changesSession: true },
  ],
  ["set default_transaction_isolation = 'read committed'", "set", "both"],
  ["set constraints all deferred", "set", "primary"],
  ["reset all", "set", "both", { name: null }],
  ["reset search_path", "set", "both", { name: "search_path" }],
  ["discard all", "discard", "both", { clearsSession: true }],
  ["discard plans", "discard", "both", { clearsSession: false }],
  ["show search_path", "show", "either", { name: "search_path" }],
  ["show transaction_read_only", "show", "primary"],
  // Answered here.
  ["SHOW POOL_NODES;", "show-pool", "either", { name: "pool_nodes" }],
  ["/* x */ show pool_version", "show-pool", "either", { name: "pool_version" }],
  ["show pool_unknown", "show", "either"],
  ["pgpool show port", "pgpool", "primary", { name: "port" }],
  // Things of the session.
  ["listen a", "listen", "primary", { name: "a" }],
  ["unlisten *", "listen", "primary", { name: null }],
  ["notify a, 'b'", "listen", "primary"],
  ["declare c cursor for select 1", "cursor", "primary", { name: "c" }],
  ["fetch 10 from c", "cursor", "primary", { name: "c" }],
  ["close all", "cursor", "primary", { name: null }],
  ["prepare p as select 1", "prepare", "primary", { name: "p" }],
  ["execute p (1)", "execute", "primary", { name: "p" }],
  ["deallocate prepare p", "deallocate", "primary", { name: "p" }],
  ["deallocate all", "deallocate", "primary", { name: null }],
  // The rest.
  ["explain select 1", "explain", "primary"],
  ["explain analyze select 1", "explain", "primary"],
  ["explain insert into t values (1)", "explain", "primary"],
  ["explain (analyze, buffers) insert into t values (1)", "write", "primary"],
  ["copy t to stdout", "copy-out", "either", { relations: ["t"] }],
  ["copy (select f() from t) to stdout", "copy-out", "either", { functions: ["f"] }],
  ["copy (insert into t values (1) returning a) to stdout", "copy-out", "primary"],
  ["copy t from stdin", "copy-in", "primary"],
  ["copy t to '/x'", "write", "primary"],
  ["copy t from program 'x'", "write", "primary"],
  ["", "empty", "either"],
  [" ; ", "empty", "either"],
  ["-- nothing", "empty", "either", { leadingComment: true }],
  ["selec 1", "unparsable", "primary"],
  ["'", "unparsable", "primary"],
  ["select 1; select 2", "write", "primary", { multi: true }],
  ["select 1; set search_path = x", "write", "primary", { multi: true, changesSession: true }],
  [
    "begin; create temp table t (); commit",
    "write",
    "primary",
    { multi: true, createsTemp: ["t"] },
  ],
  ["insert into t values (1); select f()", "write", "primary", { multi: true, functions: ["f"] }],
  ["select ';' || \";\" || $$;$$ /* ; */ -- ;", "read", "either", { multi: false }],
];

describe("a statement's class", () => {
  test.each(ROWS)("of %s is %s, for %s", (text, kind, destination, own = {}) => {
    const found = classifier.classify(text);
    expect({ kind: found.kind, destination: found.destination }).toEqual({ kind, destination });
    for (const [key, value] of Object.entries(own)) {
      const actual = found[key as keyof SqlClass];
      const sorted = Array.isArray(actual) ? [...(actual as string[])].sort() : actual;
      expect({ [key]: sorted }).toEqual({
        [key]: Array.isArray(value) ? [...(value as string[])].sort() : value,
      });
    }
  });

  test("is the same when asked again", () => {
    for (const [text] of ROWS) {
      expect(classifier.classify(text)).toEqual(classifier.classify(text));
    }
  });
});
