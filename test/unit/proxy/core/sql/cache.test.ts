import fc from "fast-check";
import { expect, test } from "vitest";
import { TextCache } from "../../../../../src/proxy/core/sql/cache.ts";

test("an entry that was used outlives one that was not", () => {
  const cache = new TextCache<number>(2, 1000);
  cache.put("a", 1);
  cache.put("b", 2);
  expect(cache.get("a")).toBe(1);
  cache.put("c", 3);
  expect([cache.get("a"), cache.get("b"), cache.get("c")]).toEqual([1, undefined, 3]);
});

test("a text that would take most of the room is not kept", () => {
  const cache = new TextCache<number>(100, 80);
  cache.put("x".repeat(11), 1);
  expect(cache.size).toBe(0);
});

test("neither bound is ever passed, and what is kept is right", () => {
  const keys = fc.array(fc.string({ minLength: 1, maxLength: 30 }), { maxLength: 200 });
  fc.assert(
    fc.property(keys, fc.integer({ min: 1, max: 20 }), (keys, entriesMax) => {
      const cache = new TextCache<string>(entriesMax, 240);
      for (const key of keys) {
        const known = cache.get(key);
        expect(known === undefined || known === key).toBe(true);
        cache.put(key, key);
        expect(cache.get(key)).toBe(key);
        expect(cache.size).toBeLessThanOrEqual(entriesMax);
        expect(cache.chars).toBeLessThanOrEqual(240);
      }
    }),
  );
});
