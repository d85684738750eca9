import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  idleLifeMs,
  isPooledDatabase,
  Pool,
  poolKey,
  SessionReset,
} from "../../../../../src/proxy/core/pool/index.ts";
import {
  buildError,
  buildMessage,
  buildParameterStatus,
  buildReady,
  READY,
} from "../../../../../src/wire/postgres/index.ts";

const pool = (connectionsMax: number, lifeTimeMs = 0): Pool<string> =>
  new Pool<string>({ connectionsMax, lifeTimeMs });

describe("a pool", () => {
  test("gives back the connection that was left last, for the same backend and key only", () => {
    const one = pool(10);
    for (const name of ["a", "b"]) {
      one.opened(0);
      one.give(name, 0, "key", 1);
    }
    expect(one.take(1, "key")).toBeNull();
    expect(one.take(0, "other")).toBeNull();
    expect(one.take(0, "key")).toBe("b");
    expect(one.take(0, "key")).toBe("a");
    expect(one.take(0, "key")).toBeNull();
  });

  test("makes room by closing what is idle longest, never what is used", () => {
    const one = pool(2);
    expect(one.opened(0)).toEqual([]);
    one.give("old", 0, "x", 1);
    one.opened(0);
    one.give("young", 0, "y", 2);
    expect(one.opened(0)).toEqual(["old"]);
    expect(one.opened(0)).toEqual(["young"]);
    expect(one.opened(0)).toEqual([]);
    expect(one.opened(1)).toEqual([]);
  });

  test("lets idle connections expire by their age, and for ever when that is 0", () => {
    const one = pool(5, 1000);
    one.opened(0);
    one.give("a", 0, "x", 100);
    expect(one.expire(1099)).toEqual([]);
    expect(one.expire(1100)).toEqual(["a"]);
    expect(one.expire(5000)).toEqual([]);
    const eternal = pool(5);
    eternal.opened(0);
    eternal.give("a", 0, "x", 100);
    expect(eternal.expire(1e12)).toEqual([]);
  });

  test("that shrinks closes what is idle longest to each backend, and lets more in when it grows", () => {
    const one = pool(3);
    for (const [name, backend] of [
      ["a", 0],
      ["b", 0],
      ["c", 1],
      ["d", 0],
    ] as const) {
      one.opened(backend);
      one.give(name, backend, "x", 1);
    }
    expect(one.resize(1)).toEqual(["a", "b"]);
    expect(one.opened(1)).toEqual(["c"]);
    expect(one.resize(0)).toEqual(["d"]);
    expect(one.resize(2)).toEqual([]);
    expect(one.give("e", 1, "x", 2)).toEqual([]);
  });

  test("forgets the connections of a backend that went down", () => {
    const one = pool(5);
    for (const [name, backend] of [
      ["a", 0],
      ["b", 1],
    ] as const) {
      one.opened(backend);
      one.give(name, backend, "x", 1);
    }
    expect(one.dropBackend(1)).toEqual(["b"]);
    expect(one.take(1, "x")).toBeNull();
    expect(one.take(0, "x")).toBe("a");
  });

  test("never holds more than its bound, whatever happens", () => {
    const step = fc.tuple(
      fc.constantFrom("open", "give", "take", "close"),
      fc.integer({ min: 0, max: 2 }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const one = pool(4);
        let used = 0;
        let made = 0;
        const open = new Set<string>();
        for (const [what, key] of steps) {
          if (what === "open") {
            for (const gone of one.opened(0)) open.delete(gone);
            used += 1;
          } else if (what === "take") {
            const taken = one.take(0, `${key}`);
            if (taken !== null) {
              open.delete(taken);
              used += 1;
            }
          } else if (used > 0) {
            used -= 1;
            if (what === "close") one.closed(0);
            else {
              made += 1;
              open.add(`c${made}`);
              for (const gone of one.give(`c${made}`, 0, `${key}`, made)) open.delete(gone);
            }
          }
          expect(one.idleCount).toBe(open.size);
          expect(open.size).toBeLessThanOrEqual(Math.max(0, 4 - used));
        }
      }),
    );
  });

  test("keys differ with every parameter and with their order", () => {
    const key = (...pairs: [string, string][]): string => poolKey(new Map(pairs));
    expect(key(["user", "a"], ["database", "b"])).toBe(key(["user", "a"], ["database", "b"]));
    expect(key(["user", "a"], ["x", "1"])).not.toBe(key(["user", "a"], ["x", "2"]));
    expect(key(["user", "a"], ["x", "1"])).not.toBe(key(["x", "1"], ["user", "a"]));
  });

  test("the databases of Pgpool-II's list are not pooled", () => {
    expect(["postgres", "template0", "template1", "regression"].some(isPooledDatabase)).toBe(false);
    expect(isPooledDatabase("bench")).toBe(true);
  });
});

describe("the reset of a session", () => {
  const QUERIES = ["ABORT", "DISCARD ALL"];
  const TAG = buildMessage(0x43, Buffer.from("DISCARD ALL\0"));

  function reset(status: number): {
    outcome: boolean[];
    one: SessionReset;
    parameters: Map<string, string>;
  } {
    const outcome: boolean[] = [];
    const parameters = new Map<string, string>();
    const learn = (name: string, value: string): void => void parameters.set(name, value);
    const done = (isClean: boolean): number => outcome.push(isClean);
    return {
      outcome,
      parameters,
      one: new SessionReset({ queries: QUERIES, status, learn, done }),
    };
  }

  test("sends ABORT only when a transaction is open", () => {
    expect(reset(READY.idle).one.start().toString("latin1")).toBe("Q\0\0\0\x10DISCARD ALL\0");
    expect(reset(READY.failed).one.start().toString("latin1")).toContain("ABORT\0Q");
  });

  test("is clean when every query ended idle, and keeps the parameters up to date", () => {
    const { one, outcome, parameters } = reset(READY.inTransaction);
    one.start();
    const zone = buildParameterStatus("TimeZone", "UTC");
    one.push(Buffer.concat([TAG, buildReady(READY.idle)]));
    expect(outcome).toEqual([]);
    one.push(Buffer.concat([zone, TAG, buildReady(READY.idle)]));
    expect(outcome).toEqual([true]);
    expect(parameters.get("TimeZone")).toBe("UTC");
  });

  test("is not clean after an error, or in a transaction", () => {
    const failed = reset(READY.idle);
    failed.one.start();
    const error = buildError({ severity: "ERROR", sqlstate: "55006", message: "no" });
    failed.one.push(Buffer.concat([error, buildReady(READY.idle)]));
    expect(failed.outcome).toEqual([false]);
    const open = reset(READY.idle);
    open.one.start();
    open.one.push(Buffer.concat([TAG, buildReady(READY.inTransaction)]));
    expect(open.outcome).toEqual([false]);
  });

  test("needs no query when the list is empty", () => {
    const outcome: boolean[] = [];
    const done = (isClean: boolean): number => outcome.push(isClean);
    const one = new SessionReset({ queries: [], status: READY.idle, learn: () => undefined, done });
    expect(one.start()).toHaveLength(0);
    expect(outcome).toEqual([true]);
  });
});

test("the shorter of two life times counts, and 0 sets no bound", () => {
  const life = (connection: number, child: number): number =>
    idleLifeMs({ connection_life_time: connection, child_life_time: child });
  expect([life(0, 0), life(0, 300), life(10, 0), life(10, 300), life(400, 300)]).toEqual([
    0, 300_000, 10_000, 10_000, 300_000,
  ]);
});
