import { expect, test } from "vitest";
import { replacementOfFailed } from "../../../../../src/proxy/core/session/failed-transaction.ts";

/** The text of the query, or the word. */
function replacement(text: string): string {
  const found = replacementOfFailed(text);
  return typeof found === "string" ? found : found.toString("latin1", 5, found.length - 1);
}

test("a transaction that has failed is replaced by a new one when the text begins by ending it", () => {
  for (const text of [
    "rollback; execute s1",
    " ;;/* x */ COMMIT WORK;",
    "end and chain; execute s1",
  ]) {
    expect(replacement(text)).toBe("ROLLBACK AND CHAIN");
  }
});

test("its savepoint remains when the text goes back to it", () => {
  expect(replacement("rollback to s; execute s1")).toBe("ROLLBACK TO SAVEPOINT s");
  expect(replacement('rollback work to savepoint "A b"; execute s1')).toBe(
    'ROLLBACK TO SAVEPOINT "A b"',
  );
});

test("it stays when the text is refused, or ends it in another way", () => {
  for (const text of ["execute s1", "select 1; rollback", "release s", "rollbacks; commit"]) {
    expect(replacement(text)).toBe("refused");
  }
  for (const text of ["rollback /* */ to s;", 'rollback to "a""b";', "prepare transaction 'x'"]) {
    expect(replacement(text)).toBe("other");
  }
});
