import fc from "fast-check";
import { expect, test } from "vitest";
import { ClassTable } from "../../../../../src/proxy/core/sql/class-table.ts";
import { Template } from "../../../../../src/proxy/core/sql/template.ts";

/** A table of texts as they are. */
function tableOf<V>(entriesMax: number, bytesMax: number, hashSeed = 0) {
  const table = new ClassTable<V>({ entriesMax, bytesMax, hashSeed });
  const template = new Template(1000);
  const take = (text: string): Template => {
    const bytes = Buffer.from(text, "utf8");
    template.takeRaw(bytes, 0, bytes.length);
    return template;
  };
  return {
    table,
    get: (text: string, salt = 0) => table.get(take(text), salt),
    put: (text: string, value: V, salt = 0) => table.put(take(text), salt, value),
  };
}

test("an entry that was used outlives one that was not", () => {
  const { get, put } = tableOf<number>(2, 1000);
  put("a", 1);
  put("b", 2);
  expect(get("a")).toBe(1);
  put("c", 3);
  expect([get("a"), get("b"), get("c")]).toEqual([1, undefined, 3]);
});

test("a text that would take most of the room is not kept", () => {
  const { table, put } = tableOf<number>(100, 80);
  put("x".repeat(11), 1);
  expect(table.size).toBe(0);
});

test("the same text may be kept once for each salt", () => {
  const { get, put } = tableOf<number>(10, 1000);
  put("a", 1, 0);
  expect(get("a", 1)).toBeUndefined();
  put("a", 2, 1);
  expect([get("a", 0), get("a", 1)]).toEqual([1, 2]);
});

test("texts that differ in zeros at the end only are different", () => {
  const { get, put } = tableOf<number>(10, 1000);
  put("a", 1);
  expect([get("a\0"), get("a\0\0\0")]).toEqual([undefined, undefined]);
});

test("what is kept of a nearly full table is right, and only a few texts were pushed out", () => {
  const { table, get, put } = tableOf<number>(1000, 100_000);
  for (let i = 0; i < 900; i++) put(String(i).padStart(8, "0"), i);
  expect(table.size).toBeLessThanOrEqual(900);
  let kept = 0;
  for (let i = 0; i < 900; i++) {
    const found = get(String(i).padStart(8, "0"));
    expect([undefined, i]).toContain(found);
    if (found !== undefined) kept++;
  }
  expect(kept).toBeGreaterThan(800);
});

test("neither bound is ever passed, and what is kept is right", () => {
  const keys = fc.array(fc.string({ minLength: 1, maxLength: 10 }), { maxLength: 200 });
  fc.assert(
    fc.property(keys, fc.integer({ min: 1, max: 20 }), fc.integer(), (keys, entriesMax, seed) => {
      const { table, get, put } = tableOf<string>(entriesMax, 240, seed);
      for (const key of keys) {
        const known = get(key);
        expect(known === undefined || known === key).toBe(true);
        put(key, key);
        expect(get(key)).toBe(key);
        expect(table.size).toBeLessThanOrEqual(entriesMax);
        expect(table.bytes).toBeLessThanOrEqual(240);
      }
    }),
  );
});
