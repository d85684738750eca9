import { describe, expect, it } from "vitest";
import { pauseBeforeReady } from "../../../../../src/backend/index.ts";

function pausesOf(runsMs: readonly number[]): number[] {
  let pauseMs = 0;
  return runsMs.map((ranMs) => {
    pauseMs = pauseBeforeReady(pauseMs, ranMs);
    return pauseMs;
  });
}

describe("the pause before failover_ready_command is run again", () => {
  it("doubles while the command fails at once, up to a minute", () => {
    const pauses = pausesOf(Array.from({ length: 9 }, () => 5));
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1000));
  });

  it("is short again after a run that went on", () => {
    expect(pausesOf([5, 5, 5, 20_000, 5])).toEqual([1000, 2000, 4000, 1000, 2000]);
  });
});
