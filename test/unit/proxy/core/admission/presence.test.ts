import { expect, test } from "vitest";
import { Presence } from "../../../../../src/proxy/core/admission/index.ts";

test("a client is idle since the first look that found it so with nothing said in between", () => {
  const presence = new Presence("logging in", 0);
  expect(presence.idleMs(500)).toBe(0);
  presence.look("idle", 1, 1000);
  expect(presence.idleMs(1000)).toBe(0);
  presence.look("idle", 1, 2000);
  expect(presence.idleMs(2000)).toBe(1000);
  presence.look("idle", 2, 3000);
  expect(presence.idleMs(3000)).toBe(0);
});

test("it is not idle while something runs, and not at once when that has ended", () => {
  const presence = new Presence("idle", 0);
  presence.look("active", 1, 1000);
  presence.look("active", 1, 9000);
  expect(presence).toMatchObject({ state: "active", sinceMs: 1000 });
  expect(presence.idleMs(9000)).toBe(0);
  presence.look("idle in transaction", 1, 10_000);
  expect(presence.idleMs(10_000)).toBe(0);
  presence.look("idle in transaction", 1, 11_000);
  expect(presence.idleMs(11_000)).toBe(1000);
});

test("who waits for a place or a backend is not idle", () => {
  for (const state of ["waiting for a place", "waiting for a backend"] as const) {
    expect(new Presence(state, 0).idleMs(60_000)).toBe(0);
  }
});
