import { describe, expect, it } from "vitest";
import { plantedBy, STUCK_CANARIES } from "../../sim/canaries/index.ts";
import { WAYS_TO_LOSE } from "../../sim/faults/failover-steps.ts";
import { FAILOVER_STEPS } from "../../sim/model/failover-step.ts";
import type { Planted } from "../../sim/planted.ts";
import { runFailover, type FailoverEnd } from "../../sim/run-failover.ts";

type Step = (typeof FAILOVER_STEPS)[number];

/** Every way, on the leader alone and on its successor as well. */
function ends(step: Step, seeds: readonly number[], planted: Planted): readonly FailoverEnd[] {
  return seeds.flatMap((seed) =>
    WAYS_TO_LOSE.map((way, index) => {
      const isTwice = (seed + index) % 2 === 0;
      return runFailover({ seed, step, way, isTwice, planted });
    }),
  );
}

describe("a failover whose leader is lost", { timeout: 60_000 }, () => {
  it.each(FAILOVER_STEPS)("%s ends in one primary and one promotion", (step) => {
    const all = ends(step, [1, 2], {});
    expect(all.map(({ broken }) => broken)).toEqual(all.map(() => null));
    expect(all.every(({ leadersLost }) => leadersLost > 0)).toBe(true);
    // A successor that sees the command's work does not come to the command's end.
    const mayBeLostTwice = step !== "after the command";
    expect(all.some(({ leadersLost }) => leadersLost > 1)).toBe(mayBeLostTwice);
  });

  it("during the command does not come to its end when successors forget it", () => {
    const planted = STUCK_CANARIES["intent-forgotten"]?.planted ?? {};
    const broken = ends("during the command", [1], planted).map((end) => end.broken);
    expect(broken).toContainEqual(expect.stringContaining("no primary"));
  });

  it("during the command promotes nobody in name only", () => {
    const broken = ends("during the command", [1, 2], plantedBy("inherited-is-done")).map(
      (end) => end.broken,
    );
    expect(broken).toContainEqual(expect.stringContaining("one successor a failover"));
  });
});
