import { describe, expect, it } from "vitest";
import { CELLS, type Cell, type ProductName } from "../../../bench/plan.ts";
import {
  Figures,
  median,
  percentile,
  type MeasuredFigure,
  type Sample,
} from "../../../bench/summary.ts";

const simple = CELLS.find((one) => one.name === "simple-32") as Cell;

function measured(
  round: number,
  product: ProductName,
  figures: Partial<Record<MeasuredFigure, number>>,
): Sample {
  return { round, cell: simple.name, product, outcome: { kind: "measured", figures } };
}

function failed(round: number, product: ProductName, reason: string): Sample {
  return { round, cell: simple.name, product, outcome: { kind: "failed", reason } };
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

describe("a percentile", () => {
  it("is one of the values, the larger one between two", () => {
    const values = Array.from({ length: 101 }, (_, index) => index);
    expect(percentile(values, 0.99)).toBe(99);
    expect(percentile([1, 2], 0.99)).toBe(2);
    expect(percentile([], 0.99)).toBeNull();
  });
});

describe("the figures", () => {
  it("are compared within a round, so that a slow round does not count as a slow product", () => {
    const figures = new Figures([
      measured(0, "pgbouncer", { cpuMicros: 10, tps: 1000 }),
      measured(0, "pgquorum", { cpuMicros: 20, tps: 500 }),
      measured(1, "pgbouncer", { cpuMicros: 40, tps: 250 }),
      measured(1, "pgquorum", { cpuMicros: 80, tps: 125 }),
      measured(2, "pgbouncer", { cpuMicros: 12, tps: 900 }),
      measured(2, "pgquorum", { cpuMicros: 25, tps: 450 }),
    ]);
    expect(figures.middle(simple, "pgquorum", "cpuMicros")).toBe(25);
    expect(figures.ratio(simple, "pgquorum", "cpuMicros", "pgbouncer")).toBe(2);
    expect(figures.ratio(simple, "pgquorum", "tps", "pgbouncer")).toBe(0.5);
  });

  it("leave failed rounds out and tell why the first failed", () => {
    const figures = new Figures([
      measured(0, "pgbouncer", { tps: 1000 }),
      failed(0, "pgquorum", "it hung"),
      failed(1, "pgbouncer", "gone"),
      measured(1, "pgquorum", { tps: 500 }),
      failed(2, "pgquorum", "other"),
    ]);
    expect(figures.failure(simple, "pgquorum")).toBe("it hung");
    expect(figures.middle(simple, "pgquorum", "tps")).toBe(500);
    expect(figures.ratio(simple, "pgquorum", "tps", "pgbouncer")).toBeNull();
  });

  it("know what comes on top of PostgreSQL itself, round by round", () => {
    const figures = new Figures([
      measured(0, "direct", { p50Micros: 100 }),
      measured(0, "pgbouncer", { p50Micros: 150 }),
      measured(0, "pgquorum", { p50Micros: 140 }),
      measured(1, "direct", { p50Micros: 300 }),
      measured(1, "pgbouncer", { p50Micros: 350 }),
      measured(1, "pgquorum", { p50Micros: 360 }),
    ]);
    expect(figures.middle(simple, "pgquorum", "p50AddedMicros")).toBe(50);
    expect(figures.ratio(simple, "pgquorum", "p50AddedMicros", "pgbouncer")).toBe(1);
  });

  it("have no ratio to a latency that nothing was added to", () => {
    const figures = new Figures([
      measured(0, "direct", { p50Micros: 100 }),
      measured(0, "pgbouncer", { p50Micros: 99 }),
      measured(0, "pgquorum", { p50Micros: 140 }),
    ]);
    expect(figures.ratio(simple, "pgquorum", "p50AddedMicros", "pgbouncer")).toBeNull();
  });

  it("have no processor time where there is no proxy", () => {
    const figures = new Figures([measured(0, "direct", { tps: 1500 })]);
    expect(figures.middle(simple, "direct", "cpuMicros")).toBeNull();
  });

  it("do not mix cells", () => {
    const other = { ...measured(0, "pgbouncer", { tps: 1000 }), cell: "connect" };
    const figures = new Figures([other, measured(0, "pgquorum", { tps: 500 })]);
    expect(figures.ratio(simple, "pgquorum", "tps", "pgbouncer")).toBeNull();
  });
});
