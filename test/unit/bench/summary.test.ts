import { describe, expect, it } from "vitest";
import type { ProductName } from "../../../bench/plan.ts";
import { median, summarize, type Sample } from "../../../bench/summary.ts";

function measured(round: number, product: ProductName, cpu: number | null, tps: number): Sample {
  const about = { queries: tps, latencyMs: 1, pssMib: cpu === null ? null : cpu + 1 };
  const outcome = { kind: "measured", tps, cpuMicrosPerQuery: cpu, ...about } as const;
  return { round, cell: "simple-32", product, outcome };
}

function failed(round: number, product: ProductName, reason: string): Sample {
  return { round, cell: "simple-32", product, outcome: { kind: "failed", reason } };
}

describe("the median", () => {
  it.each([
    [[], null],
    [[3], 3],
    [[3, 1], 2],
    [[9, 1, 2], 2],
    [[10, 9, 100, 1], 9.5],
  ])("of %j is %j", (values, expected) => {
    expect(median(values)).toBe(expected);
  });

  it("leaves the values in their order", () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe("a summary", () => {
  it("compares within a round, so that a slow round does not count as a slow product", () => {
    const samples = [
      measured(0, "pgbouncer", 10, 1000),
      measured(0, "pgquorum", 20, 500),
      measured(1, "pgbouncer", 40, 250),
      measured(1, "pgquorum", 80, 125),
      measured(2, "pgbouncer", 12, 900),
      measured(2, "pgquorum", 25, 450),
    ];
    expect(summarize(samples, "simple-32", "pgquorum")).toEqual({
      rounds: 3,
      tps: 450,
      latencyMs: 1,
      cpuMicrosPerQuery: 25,
      pssMib: 26,
      cpuRatio: 2,
      tpsRatio: 0.5,
      failure: null,
    });
  });

  it("leaves failed rounds out and tells why the first failed", () => {
    const samples = [
      measured(0, "pgbouncer", 10, 1000),
      failed(0, "pgquorum", "it hung"),
      failed(1, "pgbouncer", "gone"),
      measured(1, "pgquorum", 20, 500),
      failed(2, "pgquorum", "other"),
    ];
    const summary = summarize(samples, "simple-32", "pgquorum");
    expect(summary).toMatchObject({ rounds: 1, tps: 500, cpuRatio: null, failure: "it hung" });
  });

  it("has no processor time where there is no proxy", () => {
    const samples = [measured(0, "pgbouncer", 10, 1000), measured(0, "direct", null, 1500)];
    const summary = summarize(samples, "simple-32", "direct");
    expect(summary).toMatchObject({ cpuMicrosPerQuery: null, cpuRatio: null, tpsRatio: 1.5 });
  });

  it("does not mix cells", () => {
    const other = { ...measured(0, "pgbouncer", 10, 1000), cell: "connect" };
    const summary = summarize([other, measured(0, "pgquorum", 20, 500)], "simple-32", "pgquorum");
    expect(summary.cpuRatio).toBeNull();
  });
});
