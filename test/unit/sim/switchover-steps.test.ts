import { describe, expect, it } from "vitest";
import { RARE_CANARIES } from "../../sim/canaries/index.ts";
import { WAYS_TO_LOSE } from "../../sim/faults/failover-steps.ts";
import { SWITCHOVER_STEPS, type SwitchoverStep } from "../../sim/model/failover-step.ts";
import type { Planted } from "../../sim/planted.ts";
import { runSwitchover, type SwitchoverEnd } from "../../sim/run-switchover.ts";

interface Ends {
  readonly step: SwitchoverStep;
  readonly seeds: readonly number[];
  readonly isBlind?: boolean;
  readonly planted?: Planted;
}

/** Every way, on the leader alone and on its successor as well. */
function ends({ step, seeds, isBlind = false, planted = {} }: Ends): readonly SwitchoverEnd[] {
  return seeds.flatMap((seed) =>
    WAYS_TO_LOSE.map((way, index) => {
      const isTwice = (seed + index) % 2 === 0;
      return runSwitchover({ seed, step, way, isTwice, isBlind, planted });
    }),
  );
}

describe("a switchover", { timeout: 60_000 }, () => {
  const calm = { step: null, way: "it is cut off", isTwice: false, isBlind: false } as const;

  it("whose leader is not lost moves the primary", () => {
    const all = [1, 2, 3].map((seed) => runSwitchover({ ...calm, seed, planted: {} }));
    expect(all).toEqual(all.map(() => ({ broken: null, leadersLost: 0, outcome: "done" })));
  });
});

describe("a switchover whose leader is lost", { timeout: 60_000 }, () => {
  it.each(SWITCHOVER_STEPS)("%s ends in one primary, the old or the new one", (step) => {
    const all = ends({ step, seeds: [1, 2] });
    expect(all.map(({ broken }) => broken)).toEqual(all.map(() => null));
    expect(all.every(({ leadersLost }) => leadersLost > 0)).toBe(true);
  });

  const blind = { step: "after the command", seeds: [1, 2, 3, 4], isBlind: true } as const;

  it("starts no second primary when the successor cannot see what was done", () => {
    const all = ends(blind);
    expect(all.map(({ broken }) => broken)).toEqual(all.map(() => null));
  });

  it("would start one if the successor took what was done for its own", () => {
    const planted = RARE_CANARIES["undone-unseen"]?.planted ?? {};
    const broken = ends({ ...blind, planted }).map((end) => end.broken);
    expect(broken).toContainEqual(expect.stringContaining("starts the old primary"));
  });
});
