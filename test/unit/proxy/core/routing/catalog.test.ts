import { describe, expect, test } from "vitest";
import { Catalog, Catalogs, RELATION } from "../../../../../src/proxy/core/routing/index.ts";

const T = { relations: ["t"], functions: [] };
const HAS_T = { relations: new Map([["t", RELATION.exists]]), functions: new Map() };
const HAS_NOTHING = { relations: new Map(), functions: new Map() };

function knowing(lifeMs = 0): Catalog {
  const catalog = new Catalog({ namesMax: 3, lifeMs });
  catalog.learn(T, HAS_T, catalog.drops);
  return catalog;
}

describe("a catalog", () => {
  test("knows what it was told, also that something is missing", () => {
    const catalog = knowing();
    catalog.learn({ relations: [], functions: ["f"] }, HAS_NOTHING, catalog.drops);
    expect(catalog.relation("t")).toBe(RELATION.exists);
    expect(catalog.volatility("f")).toBe("missing");
    expect(catalog.relation("u")).toBeUndefined();
  });

  test("knows nothing after a DDL, nor from an answer to a question of before", () => {
    const catalog = knowing();
    const { drops, generation } = catalog;
    catalog.drop();
    expect(catalog.relation("t")).toBeUndefined();
    expect(catalog.generation).not.toBe(generation);
    catalog.learn(T, HAS_T, drops);
    expect(catalog.relation("t")).toBeUndefined();
  });

  test("keeps no more names than relcache_size, the newest", () => {
    const catalog = knowing();
    for (const name of ["a", "b", "c"]) {
      catalog.learn({ relations: [name], functions: [] }, HAS_NOTHING, catalog.drops);
    }
    expect(catalog.relation("t")).toBeUndefined();
    expect(["a", "b", "c"].map((name) => catalog.relation(name))).toEqual([0, 0, 0]);
  });

  test("forgets after relcache_expire, and without it never", () => {
    const brief = knowing(5000);
    const lasting = knowing();
    for (const nowMs of [1000, 5999, 6000]) {
      expect(brief.relation("t")).toBe(RELATION.exists);
      brief.expire(nowMs);
      lasting.expire(nowMs * 1e6);
    }
    expect(brief.relation("t")).toBeUndefined();
    expect(lasting.relation("t")).toBe(RELATION.exists);
  });

  test("asks again for what was missing after some seconds", () => {
    const catalog = knowing();
    catalog.learn({ relations: ["u"], functions: [] }, HAS_NOTHING, catalog.drops);
    const { generation } = catalog;
    catalog.expire(1000);
    catalog.expire(10_999);
    expect(catalog.relation("u")).toBe(0);
    catalog.expire(11_000);
    expect(catalog.relation("u")).toBeUndefined();
    expect(catalog.relation("t")).toBe(RELATION.exists);
    expect(catalog.generation).not.toBe(generation);
  });
});

test("databases are kept apart, and a new primary makes all of them void", () => {
  const catalogs = new Catalogs({ namesMax: 10, lifeMs: 0 });
  for (const name of ["a", "b"]) catalogs.of(name).learn(T, HAS_T, 0);
  catalogs.drop("a");
  expect(catalogs.of("a").relation("t")).toBeUndefined();
  expect(catalogs.of("b").relation("t")).toBe(RELATION.exists);
  catalogs.dropAll();
  expect(catalogs.of("b").relation("t")).toBeUndefined();
});
