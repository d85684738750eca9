import { describe, expect, it } from "vitest";
import {
  changesOf,
  HolderLog,
  longestDarkness,
  overlapsOf,
  type Run,
} from "../../cluster/vip/holders.ts";

/** `a a b` every millisecond from 0 on, `-` for silence; a number repeats what follows it. */
function runsOf(story: string): readonly Run[] {
  const log = new HolderLog();
  const what = "ICMP";
  let atMs = 0;
  for (const word of story.split(" ")) {
    const [, count = "1", port = "-"] = /^(\d*)(.+)$/.exec(word) ?? [];
    for (let index = 0; index < Number(count || 1); index += 1) {
      if (port !== "-") log.push({ atMs, port, what });
      atMs += 1;
    }
  }
  return log.runs;
}

describe("who held the address", () => {
  it("is one run for each unbroken row of frames from one port", () => {
    expect(runsOf("3n1 2- n1 n2")).toEqual([
      { port: "n1", firstMs: 0, lastMs: 5, framesCount: 4, what: "ICMP" },
      { port: "n2", firstMs: 6, lastMs: 6, framesCount: 1, what: "ICMP" },
    ]);
  });

  it("moves with a gap from the last frame of the old holder to the first of the new one", () => {
    expect(changesOf(runsOf("100n1 20- 100n2 7- n3"))).toEqual([
      { from: "n1", to: "n2", atMs: 120, gapMs: 21 },
      { from: "n2", to: "n3", atMs: 227, gapMs: 8 },
    ]);
    expect(overlapsOf(runsOf("100n1 20- 100n2 7- n3"))).toEqual([]);
  });

  it("goes on over the end of a round", () => {
    const log = new HolderLog();
    log.push({ atMs: 1, port: "n1", what: "ICMP" });
    log.push({ atMs: 2, port: "n2", what: "ICMP" });
    log.forget();
    log.push({ atMs: 5, port: "n2", what: "ICMP" });
    log.push({ atMs: 6, port: "n3", what: "ICMP" });
    expect(log.runs).toHaveLength(2);
    expect(changesOf(log.runs)).toEqual([{ from: "n2", to: "n3", atMs: 6, gapMs: 1 }]);
  });
});

describe("an overlap", () => {
  it("is seen when two hosts answer in turns", () => {
    expect(overlapsOf(runsOf("50n1 n2 n1 n2 n1 50n2"))).toEqual([
      { holder: "n1", others: ["n2"], what: "ICMP", fromMs: 50, toMs: 53 },
    ]);
  });

  it("is seen when a stale holder says a single word", () => {
    expect(overlapsOf(runsOf("50n1 9- 150n2 n1 50n2"))).toEqual([
      { holder: "n2", others: ["n1"], what: "ICMP", fromMs: 209, toMs: 209 },
    ]);
  });

  it("is seen among three", () => {
    expect(overlapsOf(runsOf("50n1 n2 n3 n1"))).toEqual([
      { holder: "n1", others: ["n2", "n3"], what: "ICMP", fromMs: 50, toMs: 51 },
    ]);
  });

  it("is none when the address goes and comes back in good order", () => {
    expect(overlapsOf(runsOf("50n1 30- 60n2 30- 50n1"))).toEqual([]);
    expect(changesOf(runsOf("50n1 30- 60n2 30- 50n1"))).toHaveLength(2);
  });

  it("counts as one while it lasts, and as two when there is peace between", () => {
    const quarrel = "20n1 n2 n1 n2 20n1";
    expect(overlapsOf(runsOf(`${quarrel} ${quarrel}`))).toHaveLength(1);
    expect(overlapsOf(runsOf(`${quarrel} 200n1 ${quarrel}`))).toHaveLength(2);
  });

  it("holds no move: nobody has let go", () => {
    expect(changesOf(runsOf("50n1 n2 n1 n2 n1"))).toEqual([]);
  });
});

describe("the longest darkness", () => {
  it("is the longest time between two moments", () => {
    expect(longestDarkness([0, 10, 11, 50, 52], 0, 60)).toBe(39);
  });

  it("begins and ends with the span that is looked at", () => {
    expect(longestDarkness([5, 6], 0, 20)).toBe(14);
    expect(longestDarkness([], 0, 20)).toBe(20);
    expect(longestDarkness([1, 30], 10, 12)).toBe(2);
  });
});
