import { describe, expect, it } from "vitest";
import { FairShare } from "../../../../../src/proxy/core/admission/index.ts";

function among(othersCount: number, othersConnections: number): FairShare {
  const share = new FairShare();
  share.othersTold(othersCount, othersConnections);
  return share;
}

describe("a worker's share of the connections", () => {
  it("is all of them for a worker alone, and nobody needs to know", () => {
    const share = new FairShare();
    expect(share.mayKeep(10_000)).toBe(true);
    expect(share.isNews(10_000)).toBe(false);
  });

  it.each([
    // others, theirs, own with the new one, kept
    [1, 0, 4, true],
    [1, 0, 5, false],
    [1, 16, 20, true],
    [1, 16, 24, false],
    [3, 48, 16, true],
    [3, 48, 20, false],
    [1, 500, 400, true],
    [1, 250, 290, false],
  ])("with %i others that have %i, number %i is kept: %s", (others, theirs, own, isKept) => {
    expect(among(others, theirs).mayKeep(own)).toBe(isKept);
  });

  it("is told when it changed by more than the half of what is allowed", () => {
    const share = among(1, 0);
    expect(share.isNews(1)).toBe(false);
    expect(share.isNews(2)).toBe(true);
    share.told(2);
    expect(share.isNews(3)).toBe(false);
    expect(share.isNews(0)).toBe(true);
    share.told(1000);
    expect(share.isNews(1020)).toBe(false);
    expect(share.isNews(1030)).toBe(true);
  });
});
