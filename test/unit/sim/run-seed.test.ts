import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { plantedBy } from "../../sim/canaries/index.ts";
import { runSeed, type RunOptions } from "../../sim/run-seed.ts";
import { shrink } from "../../sim/shrink.ts";

function options(seed: number, own: Partial<RunOptions> = {}): RunOptions {
  const none = { nodeCount: null, kept: null, planted: {}, trace: null };
  return { seed, safetyMs: 20_000, ...none, ...own };
}

function traceHash(seed: number): string {
  const hash = createHash("sha256");
  runSeed(options(seed, { trace: (line) => hash.update(`${line}\n`) }));
  return hash.digest("hex");
}

describe("the simulator", { timeout: 30_000 }, () => {
  it("breaks no promise, and lets enough happen for that to mean something", () => {
    const runs = [1, 2, 3, 4, 5, 6].map((seed) => runSeed(options(seed)));
    expect(runs.map(({ seed, breach }) => [seed, breach])).toEqual(
      runs.map(({ seed }) => [seed, null]),
    );
    const sum = (count: (run: (typeof runs)[number]) => number): number =>
      runs.reduce((total, run) => total + count(run), 0);
    expect(sum(({ stats }) => stats.takeOvers)).toBeGreaterThan(6);
    expect(sum(({ stats }) => stats.writes)).toBeGreaterThan(100);
  });

  it("finds a leader that counts answers nobody gave, and shortens the way to it", () => {
    const planted = plantedBy("unheard-acknowledgement");
    const seeds = Array.from({ length: 20 }, (_, index) => index + 1);
    const found = seeds.map((seed) => runSeed(options(seed, { planted })));
    const failed = found.find(({ breach }) => breach?.promise === "one lease at a time");
    if (failed === undefined) throw new Error("not found");
    const short = shrink(options(failed.seed, { planted }), failed);
    expect(short.breach?.promise).toBe("one lease at a time");
    expect(short.faults.length).toBeLessThan(failed.faults.length);
  });

  it("does the same again for the same seed", () => {
    expect(traceHash(16)).toBe(traceHash(16));
    expect(traceHash(16)).not.toBe(traceHash(17));
  });
});
