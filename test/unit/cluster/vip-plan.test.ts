import { describe, expect, it } from "vitest";
import { FAULT_NAMES, FAULTS, planRounds } from "../../cluster/vip/faults.ts";
import {
  formatOutcome,
  smallestGapMs,
  spreadOf,
  type Outcome,
  type RoundFigures,
} from "../../cluster/vip/figures.ts";
import { parseVipOptions } from "../../cluster/vip/options.ts";

describe("the rounds", () => {
  it("are the same for a seed, and others for another", () => {
    const names = (seed: number) =>
      planRounds(seed, 40, FAULT_NAMES).map((each) => each.fault.name);
    expect(names(7)).toEqual(names(7));
    expect(names(7)).not.toEqual(names(8));
  });

  it("take each fault as often as the others, give or take one", () => {
    const planned = planRounds(3, 100, FAULT_NAMES);
    const counts = FAULT_NAMES.map(
      (name) => planned.filter((each) => each.fault.name === name).length,
    );
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    expect(planned).toHaveLength(100);
    expect(planned.every(({ dice }) => dice >= 0 && dice < 1)).toBe(true);
  });

  it("name each fault as the table does", () => {
    expect(FAULT_NAMES.map((name) => FAULTS[name].name)).toEqual(FAULT_NAMES);
  });
});

describe("the spread", () => {
  it("gives figures that were measured", () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(spreadOf(values)).toEqual({ count: 100, p50: 50, p90: 90, p99: 99, max: 100 });
    expect(spreadOf([4, null, 8])).toEqual({ count: 2, p50: 4, p90: 8, p99: 8, max: 8 });
    expect(spreadOf([null])).toBeNull();
  });
});

function figures(own: Partial<RoundFigures>): RoundFigures {
  const times = { takenMs: 40, gapMs: 20, queryMs: 55, darkMs: 30, darkAfterMs: 5, wholeMs: 900 };
  return {
    round: 1,
    fault: "kill-node",
    detail: "",
    victim: "n1",
    holder: "n2",
    ...times,
    smallestGapMs: 20,
    extraTerms: 0,
    overlaps: [],
    complaint: null,
    ...own,
  };
}

describe("what is told", () => {
  it("has the faults, the overlaps, the smallest gap and every complaint", () => {
    const overlap = { holder: "n2", others: ["n1"], what: "ICMP", fromMs: 1, toMs: 9 };
    const rounds = [
      figures({}),
      figures({ fault: "loss", detail: "30 %", takenMs: null, smallestGapMs: null }),
      figures({ round: 3, smallestGapMs: 7.5, overlaps: [overlap], complaint: "both spoke" }),
    ];
    const outcome: Outcome = {
      ok: false,
      seed: 5,
      hostsCount: 3,
      profile: "fast",
      fence: "nft",
      seconds: 12,
      observerProofMs: 300,
      framesCount: 9000,
      missedFrames: 0,
      rounds,
    };
    const text = formatOutcome(outcome);
    expect(smallestGapMs(rounds)).toBe(7.5);
    expect(text).toMatch(/kill-node +2 +1 +40 \/ 40 \/ 40 \/ 40/);
    expect(text).toMatch(/loss +1 +0 +-/);
    expect(text).toContain("overlaps 1, smallest gap 7.500 ms");
    expect(text).toContain("round 3, kill-node of n1: both spoke");
  });
});

describe("the words after vip", () => {
  const parse = (line: string) => parseVipOptions(line.split(" ").filter(Boolean), 42);

  it("have sound defaults", () => {
    expect(parse("")).toEqual({
      ok: true,
      value: {
        rounds: 60,
        hostsCount: 3,
        profile: "fast",
        fence: "auto",
        faults: FAULT_NAMES,
        seed: 42,
        isJson: false,
      },
    });
  });

  it("choose rounds, hosts, profile, fence, faults and seed", () => {
    const line =
      "--rounds 500 --hosts 5 --profile lan --fence nft --faults cut,stop --seed 9 --json";
    expect(parse(line)).toMatchObject({
      value: {
        rounds: 500,
        hostsCount: 5,
        profile: "lan",
        fence: "nft",
        faults: ["stop", "cut"],
        seed: 9,
        isJson: true,
      },
    });
  });

  it.each([
    ["--rounds 0", '--rounds: "0" is not a whole number from 1'],
    ["--hosts 4", '"4" is neither 3 nor 5'],
    ["--profile slow", "none of lan, fast, default"],
    ["--fence", '--fence: "" is none of auto'],
    ["--faults cut,rain", '"rain" is none of stop'],
    ["--rain", 'unknown option "--rain"'],
  ])("say what is wrong with `%s`", (line, message) => {
    const parsed = parse(line);
    expect(parsed.ok ? "" : parsed.error).toContain(message);
  });
});
