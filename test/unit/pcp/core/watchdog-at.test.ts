import { describe, expect, it } from "vitest";
import { viewOfDeadWatchdog, watchdogViewAt } from "../../../../src/pcp/core/index.ts";
import type { WatchdogView } from "../../../../src/wire/ipc/index.ts";
import { threeNodes } from "../../../support/pcp-views.ts";

const LEADS: WatchdogView = { ...threeNodes, knownUntilMs: 1000 };
const [n0, n1, n2] = threeNodes.nodes;
if (n0 === undefined || n1 === undefined || n2 === undefined) throw new Error("three nodes");
const FOLLOWS: WatchdogView = {
  ...LEADS,
  selfId: 1,
  isLeader: false,
  holdsVip: false,
  nodes: [n1, n0, n2],
};

const states = (view: WatchdogView): string[] => view.nodes.map((node) => node.state);

describe("the last view of a watchdog", () => {
  it("is told as it came until the lease is over", () => {
    expect(watchdogViewAt(LEADS, 999.9)).toBe(LEADS);
    const leaderless = { ...LEADS, knownUntilMs: null };
    expect(watchdogViewAt(leaderless, 1e9)).toBe(leaderless);
  });

  it("claims no leader, no quorum and no address from that moment on", () => {
    expect(watchdogViewAt(LEADS, 1000)).toMatchObject({
      leaderId: null,
      isLeader: false,
      hasQuorum: false,
      quorumStatus: -2,
      holdsVip: false,
      term: 4,
    });
    expect(states(watchdogViewAt(LEADS, 1000))).toEqual(["JOINING", "JOINING", "DEAD"]);
    expect(states(watchdogViewAt(FOLLOWS, 1000))).toEqual(["JOINING", "JOINING", "DEAD"]);
  });

  it("says that the node itself is lost when no newer one comes: its watchdog does not run", () => {
    expect(states(watchdogViewAt(LEADS, 2000))).toEqual(["LOST", "JOINING", "DEAD"]);
    expect(watchdogViewAt(FOLLOWS, 2000).nodes[0]).toMatchObject({
      state: "LOST",
      lostReason: "RECEIVE TIMEOUT",
    });
  });

  it("does not claim that the address is gone where nothing takes it away", () => {
    expect(watchdogViewAt({ ...LEADS, fence: "none" }, 5000).holdsVip).toBe(true);
  });
});

describe("the last view of a watchdog that has died", () => {
  it("claims nothing any more, however long its lease had to run", () => {
    const dead = viewOfDeadWatchdog({ ...LEADS, knownUntilMs: 1e9, fence: "none" }, null);
    expect(dead).toMatchObject({
      leaderId: null,
      isLeader: false,
      quorumStatus: -2,
      holdsVip: false,
      guardianPid: null,
      unfit: null,
    });
    expect(states(dead)).toEqual(["LOST", "JOINING", "DEAD"]);
  });

  it("says why it does not run again, and is lost whatever it was doing", () => {
    const standing = { ...n0, state: "STANDING FOR LEADER" as const };
    const dead = viewOfDeadWatchdog({ ...LEADS, nodes: [standing, n1, n2] }, "wd_port0 is taken");
    expect([dead.nodes[0]?.state, dead.unfit]).toEqual(["LOST", "wd_port0 is taken"]);
  });
});
