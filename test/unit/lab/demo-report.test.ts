import { describe, expect, it } from "vitest";
import { longestGap, lostRows } from "../../../scripts/lab.d/demo/load-messages.ts";
import {
  formatReport,
  judge,
  parseHistory,
  type DemoFigures,
} from "../../../scripts/lab.d/demo/report.ts";

const good: DemoFigures = {
  readsPerBackend: { n1: 100, n2: 90, n3: 110 },
  primaryFailover: {
    killed: "n1",
    promoted: "n2",
    leaders: ["n3"],
    killToFirstWriteMs: 2500,
    commandRuns: 1,
    commandRanOn: ["n3"],
  },
  leaderFailover: {
    killed: "n3",
    vipHolder: "n1",
    newLeader: "n1",
    vipMovedMs: 400,
    vipGapMs: 450,
    holdersMax: 1,
    killToFirstWriteMs: 600,
    commandRuns: 0,
  },
  writes: { clients: 4, acknowledged: 1000, lost: 0, unacknowledged: 3 },
  reads: { count: 5000, wrong: 0 },
  seconds: 20,
};

function broken(figures: DemoFigures): string[] {
  return judge(figures)
    .filter((each) => !each.ok)
    .map((each) => each.promise);
}

describe("the promises of the demonstration", () => {
  it("all hold in a good run", () => {
    expect(broken(good)).toEqual([]);
  });

  it.each<[string, Partial<DemoFigures>]>([
    ["no acknowledged row is lost", { writes: { ...good.writes, lost: 1 } }],
    ["no acknowledged row is lost", { writes: { ...good.writes, clients: 3 } }],
    ["no acknowledged row is lost", { writes: { ...good.writes, acknowledged: 0 } }],
    ["reads are spread over every backend", { readsPerBackend: { n1: 300, n2: 0, n3: 1 } }],
    ["no read gives a wrong value", { reads: { count: 5, wrong: 1 } }],
  ])("%s: broken when it is not so", (promise, change) => {
    expect(broken({ ...good, ...change })).toEqual([promise]);
  });

  it.each<[string, Partial<DemoFigures["primaryFailover"]>]>([
    [
      "exactly one failover_command ran, on the leader",
      { commandRuns: 2, commandRanOn: ["n3", "n3"] },
    ],
    ["exactly one failover_command ran, on the leader", { commandRuns: 0, commandRanOn: [] }],
    ["exactly one failover_command ran, on the leader", { commandRanOn: ["n2"] }],
    ["a standby replaces the dead primary, and writes go on", { promoted: null }],
    ["a standby replaces the dead primary, and writes go on", { killToFirstWriteMs: null }],
  ])("%s: broken by a bad failover of the primary", (promise, change) => {
    const primaryFailover = { ...good.primaryFailover, ...change };
    expect(broken({ ...good, primaryFailover })).toEqual([promise]);
  });

  it.each<[string, Partial<DemoFigures["leaderFailover"]>]>([
    ["exactly one other host holds the VIP after the leader's death", { vipHolder: ["n1", "n2"] }],
    ["exactly one other host holds the VIP after the leader's death", { vipHolder: "n3" }],
    ["exactly one other host holds the VIP after the leader's death", { vipHolder: null }],
    ["exactly one other host holds the VIP after the leader's death", { holdersMax: 2 }],
    ["the VIP moves within 2 s", { vipMovedMs: 2001 }],
    ["the VIP moves within 2 s", { vipMovedMs: null }],
    ["writes go on after the leader's death, without another failover_command", { commandRuns: 1 }],
  ])("%s: broken by a bad move of the leader", (promise, change) => {
    const leaderFailover = { ...good.leaderFailover, ...change };
    expect(broken({ ...good, leaderFailover })).toEqual([promise]);
  });

  it("leave the VIP out where there is none", () => {
    const leaderFailover = {
      ...good.leaderFailover,
      vipHolder: null,
      vipMovedMs: null,
      holdersMax: 0,
    };
    expect(
      judge({ ...good, leaderFailover }, false).some((each) => each.promise.includes("VIP")),
    ).toBe(false);
  });

  it("are printed with the figures", () => {
    const text = formatReport(good, judge({ ...good, writes: { ...good.writes, lost: 2 } }));
    expect(text).toMatch(/^primary n1 killed: first write after +2500 ms$/m);
    expect(text).toMatch(/^BROKEN +no acknowledged row is lost +2 of 1000/m);
  });
});

describe("what the clients remember", () => {
  it("is compared row by row: a row too many hides none that is missing", () => {
    expect(lostRows([[1, 2], [1]], new Set(["0|1", "1|1", "1|9"]))).toEqual(["0|2"]);
    expect(lostRows([[1, 2], [1]], new Set(["0|1", "0|2", "1|1"]))).toEqual([]);
  });

  it("gives the longest time without an answer", () => {
    expect(longestGap([100, 110, 400, 410])).toEqual({ gapMs: 290, fromMs: 110 });
    expect(longestGap([])).toEqual({ gapMs: 0, fromMs: 0 });
  });

  it("is set beside the runs that failover.sh noted", () => {
    const text =
      "2026-01-01T00:00:00.000Z on=n3 epoch=4 failed=0 old_primary=0 new_main=1 new_main_host=10.77.0.12 result=promoted exit=0 ms=345\n";
    expect(parseHistory(text)).toEqual([{ on: "n3", failed: 0, result: "promoted" }]);
    expect(parseHistory("")).toEqual([]);
  });
});
