import { loadModule, parseSync } from "libpg-query";
import { describe, expect, test } from "vitest";
import { mayBeDeep } from "../../../../../src/proxy/core/sql/depth.ts";

await loadModule();

const SHAPES: Record<string, (n: number) => string> = {
  "a chain of operators": (n) => `select 1${"+1".repeat(n)}`,
  "nested selects": (n) => `select ${"(select ".repeat(n)}1${")".repeat(n)}`,
  "nested arrays": (n) => `select ${"array[".repeat(n)}1${"]".repeat(n)}`,
  "nested calls": (n) => `select ${"f(".repeat(n)}${")".repeat(n)}`,
  "nested calls behind commas": (n) => `select ${"f(1, ".repeat(n)}1${")".repeat(n)}`,
  "a chain of NOT": (n) => `select ${"not ".repeat(n)}true`,
  "a chain of casts": (n) => `select 1${"::a".repeat(n)}`,
  "a chain of UNION over lists": (n) => `select 1, 2${" union select 1, 2".repeat(n)}`,
  "a chain of UNION with AND": (n) => `select 1${" union select 1 where a and b".repeat(n)}`,
  "a chain of JOIN with AND": (n) => `select 1 from a${" join a on b and c".repeat(n)}`,
  "nested CASE with AND": (n) =>
    `select ${"case when a and ".repeat(n)}1${" then 1 end".repeat(n)}`,
  "nested FROM": (n) => `select * from ${"(select * from ".repeat(n)}a${") x".repeat(n)}`,
  "a chain of minus signs": (n) => `select ${"- ".repeat(n)}1`,
};

describe("a text that could become deep", () => {
  test.each(Object.entries(SHAPES))("is seen in %s", (_, shape) => {
    expect(mayBeDeep(shape(3000))).toBe(true);
  });

  test.each(Object.entries(SHAPES))(
    "is one the parser survives, just below the bound, in %s",
    (_, shape) => {
      let count = 1000;
      while (mayBeDeep(shape(count))) count -= 5;
      expect(count).toBeGreaterThan(100);
      expect(() => parseSync(shape(count))).not.toThrow(RangeError);
    },
  );
});

test.each([
  ["a long list", `select * from t where a in (${"1,".repeat(9000)}1)`],
  ["many rows", `insert into t values ${"(1, 'a', now()),".repeat(3000)}(1)`],
  ["many conditions", `select 1 where a = 1${" or (b = 2 and c = 3)".repeat(1500)}`],
  ["a long CASE", `select case ${"when a = 1 then 'x' ".repeat(1500)} else 1 end`],
  ["many statements", "update t set a = 1 where b = 2;".repeat(2000)],
  ["a long string", `select '${"(".repeat(20_000)}'`],
])("%s is not deep", (_, text) => {
  expect(mayBeDeep(text)).toBe(false);
});
