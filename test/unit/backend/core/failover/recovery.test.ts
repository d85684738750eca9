import { describe, expect, it } from "vitest";
import {
  conductor,
  decodeClusterState,
  planRecovery,
  type ClusterState,
} from "../../../../../src/backend/index.ts";
import { ClusterStory, makeSettings } from "./cluster-story.ts";

const SETTINGS = makeSettings({ failoverCommand: "", failbackCommand: "" });
const WHO = { confirmed: true, by: "somebody", eventId: "recovery-1" };

/** Node 2 is down. */
function story(): ClusterStory {
  const made = new ClusterStory(SETTINGS).settle();
  made.request("detach", [2]).commit().commit();
  made.lines.length = 0;
  return made;
}

describe("online recovery", () => {
  it("is recorded stage by stage, and the server is attached in the end", () => {
    const told = story().request("recover", [2], WHO).commit();
    told.recoveryTells("remote start").commit().recoveryTells("waiting for the server").commit();
    told.recoveryEnds(null).commit().commit().commit();
    expect(told.text).toMatchInlineSnapshot(`
      "
      > granted: recover 2
      propose #6 after 4: epoch 5, primary 0, 0 waiting, 1 waiting, 2 down, recovery-1: first stage
      > #6 is committed
      LOG: starting recovering node 2 | from the primary, node 0
      recover #7 node 2 from node 0: first stage
      > recovery: remote start
      propose #8 after 5: epoch 5, primary 0, 0 waiting, 1 waiting, 2 down, recovery-1: remote start
      > #8 is committed
      permit #7: remote start
      > recovery: waiting for the server
      propose #9 after 6: epoch 5, primary 0, 0 waiting, 1 waiting, 2 down, recovery-1: waiting for the server
      > #9 is committed
      permit #7: waiting for the server
      > recovery ends: all well
      propose #10 after 7: epoch 6, primary 0, 0 waiting, 1 waiting, 2 down
      > #10 is committed
      LOG: recovery done for node 2
      propose #11 after 8: epoch 7, primary 0, 0 waiting, 1 waiting, 2 waiting, attach 2 runs
      > #11 is committed
      LOG: === Starting fail back. reconnect host db2(5432) ===
      propose #12 after 9: epoch 8, primary 0, 0 waiting, 1 waiting, 2 waiting
      > #12 is committed
      LOG: failover: set new primary node: 0
      LOG: failover: set new main node: 0
      LOG: === Failback done. reconnect host db2(5432) ===
      "
    `);
    expect(told.committed?.history.map(({ kind, outcome }) => `${kind} ${outcome}`)).toEqual([
      "primary done",
      "detach done",
      "recover done",
      "attach done",
    ]);
  });

  it("leaves the server down and its place free when it fails", () => {
    const told = story().request("recover", [2], WHO).commit().recoveryEnds("no room").commit();
    expect(told.committed?.recovery).toBeNull();
    expect(told.committed?.backends[2]?.state).toBe("down");
    expect(told.committed?.history.at(-1)).toMatchObject({
      eventId: "recovery-1",
      kind: "recover",
      outcome: "failed",
      problem: "no room",
      by: "somebody",
    });
  });

  it("tells a second one who looks for it that one runs already", () => {
    const told = story().request("recover", [2], WHO).commit();
    told.request("recover", [2], { ...WHO, eventId: "recovery-2" }).commit();
    expect(told.committed?.recovery?.eventId).toBe("recovery-1");
    expect(told.committed?.history.at(-1)).toMatchObject({
      eventId: "recovery-2",
      outcome: "failed",
      problem: "pgpool-II is already processing another recovery request.",
    });
  });

  it("begins a stage when that is recorded, and not before", () => {
    const told = story().request("recover", [2], WHO).commit().recoveryTells("remote start");
    expect(told.lines.join()).not.toContain("permit");
    expect(told.refuse().wait(100).commit().lines.at(-1)).toMatch(/^permit #\d+: remote start$/);
  });

  it("tells its end once although that is refused at first", () => {
    const told = story().request("recover", [2], WHO).commit().recoveryEnds(null);
    told.refuse().wait(100).commit();
    expect(told.committed?.history.at(-1)).toMatchObject({ kind: "recover", outcome: "done" });
    expect(told.proposal?.state.intent).toMatchObject({ kind: "attach", backendIds: [2] });
  });

  it("is stopped when its node no longer leads, and ends for good with the primary", () => {
    const first = story().request("recover", [2], WHO).commit().lead(false).wait(4999);
    expect(first.text).not.toContain("stop recovery");
    expect(first.wait(1).text).toMatch(/stop recovery #\d+: this node no longer leads/);
    const next = new ClusterStory(makeSettings(), "n1").lead();
    next.commitState({ ...(first.committed as ClusterState), primaryId: 1 }).commit();
    expect(next.committed?.recovery).toBeNull();
    expect(next.committed?.history.at(-1)?.problem).toBe("node 0 is no longer the primary");
  });

  it("goes on when its node leads again after a lapse, at which nothing of it begins", () => {
    const told = story().request("recover", [2], WHO).commit().lead(false).wait(900);
    told.recoveryTells("remote start");
    expect(told.proposal).toBeNull();
    told.lead().commit();
    expect(told.lines.at(-1)).toMatch(/^permit #\d+: remote start$/);
    told.recoveryTells("waiting for the server").commit().lead(false).recoveryEnds(null).lead();
    told.commit().commit();
    expect(told.text).not.toContain("stop recovery");
    expect(told.committed?.history.at(-1)).toMatchObject({ kind: "recover", outcome: "done" });
    expect(told.committed?.intent).toMatchObject({ kind: "attach" });
  });

  it("waits again for leave that was recorded just when the lead was lost", () => {
    const told = story().request("recover", [2], WHO).commit().recoveryTells("remote start");
    const { proposal } = told;
    told
      .lead(false)
      .commitState(proposal?.state ?? null)
      .wait(900);
    expect(told.lines.join()).not.toContain("permit");
    told.lead().commit();
    expect(told.lines.at(-1)).toMatch(/^permit #\d+: remote start$/);
  });

  /** Another leader, with what the first one had committed. */
  function successor(first: ClusterStory): ClusterStory {
    const next = new ClusterStory(SETTINGS, "n1");
    next.nowMs = first.nowMs;
    return next.lead().commitState(first.committed);
  }

  it("is taken up by the next leader, at its stage, when the first one's time is over", () => {
    const first = story().request("recover", [2], WHO).commit();
    first.recoveryTells("remote start").commit().lead(false);
    const next = successor(first);
    expect(conductor.wakeAtMs(next.state)).toBe(first.nowMs + 6000);
    next.wait(5999);
    expect(next.proposal).toBeNull();
    next.wait(1).commit().recoveryTells("waiting for the server").commit();
    next.recoveryEnds(null).commit().commit().commit();
    expect(next.text).toMatchInlineSnapshot(`
      "
      > leads
      > 5999 ms pass
      > 1 ms pass
      LOG: taking up the recovery of node 2 | at its remote start
      propose #1 after 1: epoch 5, primary 0, 0 waiting, 1 waiting, 2 down, recovery-1: remote start
      > #1 is committed
      recover #2 node 2 from node 0: remote start, taken up
      > recovery: waiting for the server
      propose #3 after 2: epoch 5, primary 0, 0 waiting, 1 waiting, 2 down, recovery-1: waiting for the server
      > #3 is committed
      permit #2: waiting for the server
      > recovery ends: all well
      propose #4 after 3: epoch 6, primary 0, 0 waiting, 1 waiting, 2 down
      > #4 is committed
      LOG: recovery done for node 2
      propose #5 after 4: epoch 7, primary 0, 0 waiting, 1 waiting, 2 waiting, attach 2 runs
      > #5 is committed
      LOG: === Starting fail back. reconnect host db2(5432) ===
      propose #6 after 5: epoch 8, primary 0, 0 waiting, 1 waiting, 2 waiting
      > #6 is committed
      LOG: failover: set new primary node: 0
      LOG: failover: set new main node: 0
      LOG: === Failback done. reconnect host db2(5432) ===
      "
    `);
    expect(next.committed?.backends[2]?.state).toBe("waiting");
  });

  it("stops at once when it sees that another leader has taken it up or ended it", () => {
    const first = story().request("recover", [2], WHO).commit().lead(false);
    const next = successor(first).wait(6000).commit();
    first.commitState(next.committed);
    expect(first.text).toMatch(/stop recovery #\d+: another leader has ended it/);
  });

  it("is taken up twice, not for ever", () => {
    let last = story().request("recover", [2], WHO).commit();
    for (let count = 0; count < 2; count += 1) last = successor(last).wait(6000).commit();
    expect(last.committed?.recovery).toMatchObject({ attempt: 3 });
    last = successor(last).commit();
    expect(last.committed?.recovery).toBeNull();
    expect(last.committed?.history.at(-1)?.problem).toBe(
      "the leader that ran it was lost, 3 times",
    );
  });

  it("is begun by its leader that lost the lead just when it was recorded", () => {
    const told = story().request("recover", [2], WHO);
    const { proposal } = told;
    told
      .lead(false)
      .commitState(proposal?.state ?? null)
      .lead()
      .wait(6000)
      .commit();
    expect(told.lines.at(-1)).toMatch(/^recover #\d+ node 2 from node 0: first stage, taken up$/);
  });

  it("goes on beside another failover, but not beyond the loss of its primary", () => {
    const told = story().request("recover", [2], WHO).commit();
    told.request("detach", [1]).commit().commit();
    expect(told.committed?.recovery?.eventId).toBe("recovery-1");
    told.request("detach", [0]).commit();
    expect(told.text).toMatch(/stop recovery #\d+: node 0 is no longer/);
  });

  it("is part of what a node may be told of the cluster's state", () => {
    const { committed } = story().request("recover", [2], WHO).commit();
    const decoded = decodeClusterState(JSON.parse(JSON.stringify(committed)));
    expect(decoded).toEqual({ ok: true, value: committed });
  });

  it.each<[string, Partial<ClusterState>, number]>([
    ["invalid node ID : 7", {}, 7],
    ["primary server cannot be recovered by online recovery.", {}, 0],
    [
      "node recovery failed, node id: 1 is alive: stop its server, and detach it where no health check does",
      {},
      1,
    ],
    ["there is no primary to recover from", { primaryId: null }, 2],
  ])("is refused: %s", (why, change, id) => {
    const { committed } = story();
    if (committed === null) throw new Error("nothing was committed");
    const planned = planRecovery({ ...committed, ...change }, id, makeSettings());
    expect(planned).toEqual({ ok: false, error: why });
  });
});
