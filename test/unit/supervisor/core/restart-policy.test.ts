import { describe, expect, it } from "vitest";
import {
  EARLY_DEATH_MS,
  newRestartHistory,
  planRestart,
} from "../../../../src/supervisor/core/restart-policy.ts";

/** Delays for children that live so long, one after the other. */
function delaysOf(livesMs: readonly number[]): number[] {
  let nowMs = 1000;
  let history = newRestartHistory(nowMs);
  return livesMs.map((lifeMs) => {
    nowMs += lifeMs;
    const planned = planRestart(history, nowMs);
    expect(planned.history.startedAtMs).toBe(nowMs + planned.delayMs);
    history = planned.history;
    nowMs += planned.delayMs;
    return planned.delayMs;
  });
}

describe("planRestart", () => {
  it("starts a child that had run for a while at once", () => {
    expect(delaysOf([EARLY_DEATH_MS, 60_000])).toEqual([0, 0]);
  });

  it("waits twice as long after each early death, up to 10 s", () => {
    const delays = delaysOf([0, 10, 0, 4999, 0, 0, 0, 0, 0, 0]);
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
  });

  it("forgets early deaths once a child has lived", () => {
    expect(delaysOf([0, 0, 5000, 0])).toEqual([100, 200, 0, 100]);
  });
});
