import { describe, expect, it } from "vitest";
import { parseVipBenchOptions } from "../../../bench/vip-options.ts";
import { numbersOf, readSimulator, type Measured } from "../../../bench/vip-numbers.ts";
import type { RoundFigures } from "../../cluster/vip/figures.ts";

function round(own: Partial<RoundFigures>): RoundFigures {
  return {
    round: 1,
    fault: "stop",
    detail: "",
    victim: "n1",
    holder: "n2",
    takenMs: 20,
    gapMs: 10,
    smallestGapMs: 10,
    queryMs: 30,
    darkMs: 10,
    darkAfterMs: 3,
    wholeMs: 900,
    extraTerms: 0,
    overlaps: [],
    complaint: null,
    ...own,
  };
}

function measured(own: Partial<Measured>): Measured {
  return {
    profile: "fast",
    leaseMs: 600,
    rounds: [round({})],
    partition: { minutes: 10, leaderChanges: 0 },
    busy: { minutes: 60, leaderChanges: 0 },
    idle: { seconds: 20, cpuPercent: 0.3, rssMib: 60 },
    simulator: { seedsPerHour: 40_000, timesRealTime: 2000 },
    ...own,
  };
}

const rowOf = (own: Partial<Measured>, words: string) =>
  numbersOf(measured(own)).find((row) => row.what.includes(words));

describe("the numbers of the virtual IP", () => {
  it("meet their targets or miss them", () => {
    expect(rowOf({}, "planned move")?.isMet).toBe(true);
    expect(rowOf({ rounds: [round({ gapMs: 16 })] }, "planned move")?.isMet).toBe(false);
    const overlap = { holder: "n1", others: ["n2"], what: "ICMP", fromMs: 0, toMs: 1 };
    expect(rowOf({ rounds: [round({ overlaps: [overlap] })] }, "overlaps")?.isMet).toBe(false);
    expect(rowOf({ busy: { minutes: 1, leaderChanges: 1 } }, "false leader")?.isMet).toBe(false);
    const heavy = { seconds: 20, cpuPercent: 0.6, rssMib: 71 };
    expect(rowOf({ idle: heavy }, "idle watchdog over")?.isMet).toBe(false);
    expect(rowOf({ idle: heavy }, "resident")?.isMet).toBe(false);
  });

  it("judge a silent death by the lease of the profile", () => {
    const rounds = [round({ fault: "cut", takenMs: 690 })];
    expect(rowOf({ rounds }, "cut off: new holder")).toMatchObject({
      target: "p50 ≤ 700 ms, p99 ≤ 1000 ms",
      isMet: true,
    });
    expect(rowOf({ rounds, profile: "lan", leaseMs: 300 }, "cut off: new holder")?.isMet).toBe(
      false,
    );
    const slow = [round({ fault: "cut", takenMs: 3400 })];
    const byDefault = { rounds: slow, profile: "default", leaseMs: 3000 } as const;
    expect(rowOf(byDefault, "cut off: new holder")?.isMet).toBe(true);
  });

  it("have no verdict where nothing was measured", () => {
    expect(rowOf({ rounds: [] }, "planned move")).toMatchObject({ measured: "-", isMet: null });
    expect(rowOf({ simulator: null }, "simulator: seeds")?.isMet).toBeNull();
  });

  it("read the simulator's own words", () => {
    const text = "seeds    500   41 230 an hour\nsimulated hours  4.2   1 873 × real time\n";
    expect(readSimulator(text)).toEqual({ seedsPerHour: 41_230, timesRealTime: 1873 });
    expect(readSimulator("nothing of it")).toBeNull();
  });
});

describe("the words after bench vip", () => {
  it("are few rounds in short times unless told otherwise", () => {
    expect(parseVipBenchOptions([])).toMatchObject({
      value: { rounds: 20, profile: "fast", fence: "auto", busyMinutes: 1, seeds: 500 },
    });
    const words = ["--minutes", "0.5", "--partition-minutes", "10", "--seeds", "0", "--json"];
    expect(parseVipBenchOptions(words)).toMatchObject({
      value: { busyMinutes: 0.5, partitionMinutes: 10, seeds: 0, isJson: true },
    });
  });

  it("say what is wrong", () => {
    const parsed = parseVipBenchOptions(["--minutes", "ever"]);
    expect(parsed).toMatchObject({
      ok: false,
      error: '--minutes: "ever" is not a number from 0 to 1440',
    });
  });
});
