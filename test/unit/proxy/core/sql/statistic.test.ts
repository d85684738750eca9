import { loadModule, parseSync } from "libpg-query";
import { expect, test } from "vitest";
import { createClassifier } from "../../../../../src/proxy/core/sql/index.ts";
import { STATISTIC } from "../../../../../src/wire/ipc/index.ts";

await loadModule();
const classifier = createClassifier({
  parse: parseSync,
  cacheEntriesMax: 100,
  parseBytesMax: 10_000,
});

test.each([
  ["select 1", "select"],
  ["(select 1)", "select"],
  ["values (1)", "select"],
  ["select 1 into t", "select"],
  ["select 1 from t for update", "select"],
  ["with a as (select 1) select * from a", "select"],
  ["with a as (select 1) insert into t select * from a", "insert"],
  ["with a as (delete from t returning *) select * from a", "select"],
  ["insert into t values (1)", "insert"],
  ["update t set a = 1", "update"],
  ["/* x */ delete from t", "delete"],
  ["create table t (a int)", "ddl"],
  ["copy t from stdin", "ddl"],
  ["copy t to stdout", "ddl"],
  ["truncate t", "ddl"],
  ["vacuum", "other"],
  ["analyze t", "other"],
  ["insert into t values (1); select 1", "insert"],
  ["", "select"],
  ["comment on table t is 'x'", "ddl"],
  ["close c", "ddl"],
  ["fetch all from c", "ddl"],
  ["begin", "other"],
  ["prepare transaction 'a'", "other"],
  ["set a.b = 1", "other"],
  ["show all", "other"],
  ["explain select 1", "other"],
  ["lock table t", "other"],
  ["checkpoint", "other"],
  ["prepare s as select 1", "other"],
  ["listen c", "other"],
  ["nonsense", "ddl"],
] as const)("%s is counted as %s", (text, as) => {
  expect(classifier.classify(text).statistic).toBe(STATISTIC[as]);
});
