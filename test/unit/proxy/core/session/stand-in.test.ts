import { describe, expect, test } from "vitest";
import { standInFor } from "../../../../../src/proxy/core/session/stand-in.ts";
import type { SqlKind } from "../../../../../src/proxy/core/sql/index.ts";
import { say } from "../../../../support/raw-client.ts";

function standIn(text: string, kind: SqlKind, isDescribed = false): string | null {
  return standInFor(say.parse("s1", text), kind, isDescribed)?.toString("latin1", 5) ?? null;
}

describe("what takes the place of a statement in a transaction that has failed", () => {
  test("has its name and its parameters, and no text", () => {
    expect(standIn("select 1", "read")).toBe("s1\0\0\0\0");
    const text = "\0\0\0\u0019";
    expect(standIn("select $2::int, $1", "read")).toBe(`s1\0\0\0\u0002${text}${text}`);
  });

  test("is not there for what ends the transaction", () => {
    expect(standIn("commit", "commit")).toBeNull();
    expect(standIn("rollback", "rollback")).toBeNull();
    expect(standIn("rollback to savepoint s", "savepoint")).toBeNull();
    expect(standIn("release savepoint s", "savepoint")).not.toBeNull();
  });

  test("is described only when it has neither columns nor parameters", () => {
    expect(standIn("insert into t values (1)", "write", true)).not.toBeNull();
    expect(standIn("insert into t values (1) returning a", "write", true)).toBeNull();
    expect(standIn("insert into t values ($1)", "write", true)).toBeNull();
    expect(standIn("select 1", "read", true)).toBeNull();
  });
});
