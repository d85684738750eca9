import { describe, expect, test } from "vitest";
import { TransactionMemory } from "../../../../../src/proxy/core/routing/index.ts";
import type { OnWrite } from "../../../../../src/proxy/core/routing/transaction.ts";
import { realClassifier } from "../sql/parser.ts";

const classifier = await realClassifier();

/** What holds the reads after each of the statements; "-": nothing. */
function holds(texts: readonly string[], onWrite: OnWrite = "transaction", related = ""): string {
  const memory = new TransactionMemory(onWrite, related);
  let isOpen = false;
  return texts
    .map((text) => {
      const sql = classifier.classify(text);
      const mayWrite = sql.kind !== "begin" && sql.kind !== "commit" && sql.kind !== "savepoint";
      memory.executed(sql, mayWrite, isOpen);
      isOpen = sql.kind === "begin" || (isOpen && sql.kind !== "commit");
      if (memory.asksLevel) memory.learnLevels("read committed", "read committed");
      return memory.hold ?? "-";
    })
    .join(" ");
}

const WRITE = "insert into t values (1)";

describe("the reads of a transaction", () => {
  test.each([
    ["until it writes", ["begin", WRITE, "commit", "begin"], "- wrote begun -"],
    ["unless it is of another level", ["begin isolation level serializable"], "isolation"],
    ["unless repeatable", ["start transaction isolation level repeatable read"], "isolation"],
    ["when it asks for it", ["begin isolation level read uncommitted, read only"], "-"],
    ["but not behind a SET", ["begin", "set work_mem = '1MB'"], "- session"],
    ["also behind SET TRANSACTION READ ONLY", ["begin", "set transaction read only"], "- -"],
    ["but not behind DDL", ["begin", "create table x (a int)"], "- session"],
    ["not when others begin with it", ["begin; select 1"], "session"],
    ["again behind COMMIT AND CHAIN", ["begin", WRITE, "commit work and chain"], "- wrote -"],
    ["not so behind AND NO CHAIN", ["begin", WRITE, "commit and no chain"], "- wrote begun"],
    ["also behind a savepoint", ["begin", "savepoint a"], "- -"],
  ])("may leave %s", (_, texts, expected) => {
    expect(holds(texts)).toBe(expected);
  });

  test.each<[OnWrite, string]>([
    ["off", "- - begun -"],
    ["transaction", "- wrote begun -"],
    ["trans_transaction", "- wrote begun wrote"],
    ["always", "- wrote begun -"],
    ["dml_adaptive", "- - begun -"],
  ])("as disable_load_balance_on_write = %s says", (onWrite, expected) => {
    expect(holds(["begin", WRITE, "commit", "begin"], onWrite)).toBe(expected);
  });
});

test("a transaction that AND CHAIN begins is asked for its level, which the one before may have set", () => {
  const memory = new TransactionMemory("transaction", "");
  memory.executed(classifier.classify("begin isolation level read committed"), false, false);
  expect([memory.hold, memory.asksLevel]).toEqual([null, false]);
  memory.executed(classifier.classify("rollback and chain"), false, true);
  expect([memory.hold, memory.asksLevel]).toEqual(["isolation", true]);
  memory.learnLevels("repeatable read", "read committed");
  expect([memory.hold, memory.asksLevel]).toEqual(["isolation", false]);
});

test("the level that a session has by default is asked for once, until it may have changed", () => {
  const memory = new TransactionMemory("transaction", "");
  const run = (text: string): void => memory.executed(classifier.classify(text), true, false);
  const asks: boolean[] = [];
  for (const text of [
    "begin",
    "commit",
    "begin",
    "commit",
    "set work_mem = 1",
    "begin",
    "commit",
  ]) {
    run(text);
    asks.push(memory.asksLevel);
    if (memory.asksLevel) memory.learnLevels("read committed", "read committed");
  }
  expect(asks).toEqual([true, false, false, false, false, false, false]);
  run("set default_transaction_isolation = 'repeatable read'");
  run("begin");
  expect(memory.asksLevel).toBe(true);
});

test("dml_adaptive notes what is written, and what belongs to it", () => {
  const memory = new TransactionMemory("dml_adaptive", "t:u, f():v");
  const run = (text: string): void => memory.executed(classifier.classify(text), true, true);
  memory.executed(classifier.classify("begin"), false, false);
  run("insert into S.T values (1)");
  run("select f()");
  expect([...memory.written].sort()).toEqual(["t", "u", "v"]);
  run("commit");
  expect(memory.written.size).toBe(0);
});

test("a table that the transaction has locked is read where its lock is, whatever the setting", () => {
  const memory = new TransactionMemory("off", "");
  for (const text of ["begin", "insert into a values (1)", "truncate s.b", "lock table c"]) {
    memory.executed(classifier.classify(text), text !== "begin", text !== "begin");
  }
  expect([...memory.written].sort()).toEqual(["b", "c"]);
});
