import { describe, expect, it } from "vitest";
import {
  decodeClusterState,
  planRecovery,
  type ClusterState,
} from "../../../../../src/backend/index.ts";
import { ClusterStory, makeSettings } from "./cluster-story.ts";

const WHO = { confirmed: true, by: "somebody", eventId: "recovery-1" };

/** Node 2 is down. */
function story(): ClusterStory {
  const made = new ClusterStory(
    makeSettings({ failoverCommand: "", failbackCommand: "" }),
  ).settle();
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
      recover node 2 from node 0
      > recovery: remote start
      propose #7 after 5: epoch 5, primary 0, 0 waiting, 1 waiting, 2 down, recovery-1: remote start
      > #7 is committed
      > recovery: waiting for the server
      propose #8 after 6: epoch 5, primary 0, 0 waiting, 1 waiting, 2 down, recovery-1: waiting for the server
      > #8 is committed
      > recovery ends: all well
      LOG: recovery done for node 2
      propose #9 after 7: epoch 6, primary 0, 0 waiting, 1 waiting, 2 down
      > #9 is committed
      propose #10 after 8: epoch 7, primary 0, 0 waiting, 1 waiting, 2 waiting, attach 2 runs
      > #10 is committed
      LOG: === Starting fail back. reconnect host db2(5432) ===
      propose #11 after 9: epoch 8, primary 0, 0 waiting, 1 waiting, 2 waiting
      > #11 is committed
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

  it("is stopped when its node no longer leads, and struck out by the next leader", () => {
    const first = story().request("recover", [2], WHO).commit();
    expect(first.lead(false).text).toContain("stop recovery-1: this node no longer leads");
    const next = new ClusterStory(makeSettings(), "n1").lead();
    next.commitState(first.committed).commit();
    expect(next.committed?.recovery).toBeNull();
    expect(next.committed?.history.at(-1)?.problem).toBe("the leader that ran it was lost");
  });

  it("goes on beside another failover, but not beyond the loss of its primary", () => {
    const told = story().request("recover", [2], WHO).commit();
    told.request("detach", [1]).commit().commit();
    expect(told.committed?.recovery?.eventId).toBe("recovery-1");
    told.request("detach", [0]).commit();
    expect(told.text).toContain("stop recovery-1: node 0 is no longer the primary");
  });

  it("is part of what a node may be told of the cluster's state", () => {
    const { committed } = story().request("recover", [2], WHO).commit();
    const decoded = decodeClusterState(JSON.parse(JSON.stringify(committed)));
    expect(decoded).toEqual({ ok: true, value: committed });
  });

  it.each<[string, Partial<ClusterState>, number]>([
    ["invalid node ID : 7", {}, 7],
    ["primary server cannot be recovered by online recovery.", {}, 0],
    ["node recovery failed, node id: 1 is alive", {}, 1],
    ["there is no primary to recover from", { primaryId: null }, 2],
  ])("is refused: %s", (why, change, id) => {
    const { committed } = story();
    if (committed === null) throw new Error("nothing was committed");
    const planned = planRecovery({ ...committed, ...change }, id, makeSettings());
    expect(planned).toEqual({ ok: false, error: why });
  });
});
