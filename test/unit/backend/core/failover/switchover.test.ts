import { describe, expect, it } from "vitest";
import { decodeClusterState } from "../../../../../src/backend/index.ts";
import { ClusterStory, makeSettings } from "./cluster-story.ts";

const STOPPED = "Latest checkpoint location:           0/5000028";
const settings = makeSettings({
  demoteCommand: "demote %a %d %m",
  followPrimaryCommand: "follow %d %m",
});

function prepared(own: Parameters<ClusterStory["switchover"]>[0] = {}): ClusterStory {
  const story = new ClusterStory(settings).settle();
  return story.switchover(own).prepared();
}

/** Until the old primary has been told to stop. */
function stopping(): ClusterStory {
  return prepared().commit().watched();
}

/** The target was told to take over, three times, and has not. */
function unpromoted(): ClusterStory {
  const story = stopping().finish(0, STOPPED).watched();
  for (const delayMs of [1000, 2000]) {
    story.finish(1).answer(null).wait(delayMs);
    if (story.search !== null) story.answer(null);
    story.wait(1000);
    if (story.proposal !== null) story.commit();
  }
  story.finish(1).answer(null).wait(2000);
  if (story.search !== null) story.answer(null);
  return story.wait(100);
}

describe("a switchover", () => {
  it("drains, stops, lets the target catch up, and goes on as any failover", () => {
    const story = stopping().finish(0, STOPPED).watched();
    story.finish().wait(50).answer(1).commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: switchover 1
      prepare #4 for node 1
      > prepared: ready
      propose #5 after 2: epoch 3, primary 0, 0 waiting, 1 waiting, 2 waiting, switchover 0 runs (draining)
      > #5 is committed
      LOG: === Starting switchover. hand over from host db0(5432) ===
      watch #6: drained {"backendId":0}
      > #6: ok
      LOG: execute command: demote stop 0 1
      run #7 demote: demote stop 0 1 (epoch 3, event wish)
      > command #7 ends with 0
      watch #8: replayed {"backendId":1,"lsn":"0/5000028"}
      propose #9 after 3: epoch 4, primary unknown, 0 down, 1 waiting, 2 waiting, switchover 0 runs (stopped)
      > #9 is committed
      > #8: ok
      LOG: execute command: failover 0 1 0
      run #10 failover: failover 0 1 0 (epoch 4, event wish)
      > command #10 ends with 0
      LOG: find_primary_node_repeatedly: waiting for finding a primary node
      search #11 among 1,2
      propose #12 after 4: epoch 4, primary unknown, 0 down, 1 waiting, 2 waiting, switchover 0 runs (stopped)
      > #12 is committed
      > 50 ms pass
      > answer to #11: 1
      LOG: find_primary_node: primary node is 1
      propose #13 after 5: epoch 5, primary 1, 0 down, 1 waiting, 2 waiting, 2,0 have to follow
      > #13 is committed
      LOG: failover: set new primary node: 1
      LOG: failover: set new main node: 1
      LOG: === Switchover done. handed over from host db0(5432) ===
      LOG: === Starting follow primary command for node 2 ===
      LOG: execute command: follow 2 1
      run #14 follow-primary: follow 2 1 (epoch 4, event wish)
      "
    `);
    expect(decodeClusterState(story.committed)).toEqual({ ok: true, value: story.committed });
    expect(story.committed?.history.at(-1)).toMatchObject({
      eventId: "wish",
      kind: "switchover",
      outcome: "done",
      problem: "",
      oldPrimaryId: 0,
      newPrimaryId: 1,
      steps: [
        { name: "granted" },
        { name: "prepared" },
        { name: "committed" },
        { name: "nothing begins on the old primary any more" },
        { name: "its transactions have ended" },
        { name: "the old primary is stopped" },
        { name: "node 1 has replayed everything" },
        { name: "node 1 is the primary" },
      ],
    });
    expect(story.command?.env.PGQUORUM_FOLLOW_STOPPED).toBeUndefined();
    story.finish().commit();
    expect(story.command?.text).toBe("follow 0 1");
    expect(story.command?.env.PGQUORUM_FOLLOW_STOPPED).toBe("on");
  });

  it("lets standbys serve on while they are pointed to the new primary, unless that fails", () => {
    const story = stopping().finish(0, STOPPED).watched().finish().answer(1).commit();
    expect(story.committed?.backends.map(({ state }) => state)).toEqual([
      "down",
      "waiting",
      "waiting",
    ]);
    expect(story.command?.text).toBe("follow 2 1");
    story.finish(1).commit();
    expect(story.committed?.backends[2]).toMatchObject({ state: "down" });
    expect(story.committed?.backends[2]?.reason).toContain("follow_primary_command");
    story.finish().commit();
    expect(story.committed?.follow).toBeNull();
  });

  it("is looked at before anybody waits, and a refusal stands in the history", () => {
    const story = new ClusterStory(settings).settle();
    story.switchover().prepared("lag: 99 bytes").commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: switchover 1
      prepare #4 for node 1
      > prepared: lag: 99 bytes
      WARNING: switchover to node 1 is refused: lag: 99 bytes
      propose #5 after 2: epoch 3, primary 0, 0 waiting, 1 waiting, 2 waiting
      > #5 is committed
      "
    `);
    expect(story.committed?.history.at(-1)).toMatchObject({
      eventId: "wish",
      outcome: "failed",
      problem: "refused: lag: 99 bytes",
    });
    expect(story.committed?.primaryId).toBe(0);
  });

  it("is refused when its target was lost meanwhile", () => {
    const story = new ClusterStory(settings).settle().switchover();
    story.request("detach", [1]).commit().finish().commit().prepared().commit();
    expect(story.committed?.history.at(-1)?.problem).toBe("refused: node 1 is not live");
  });

  it("waits until no node lets anything begin on the old primary", () => {
    const story = new ClusterStory(settings).settle();
    story.settlesAtOnce = false;
    story.switchover().prepared().commit();
    expect(story.watch).toBeNull();
    story.settleAll();
    expect(story.watch?.order).toEqual({ what: "drained", backendId: 0 });
  });

  it("lets everything be as it was when transactions do not end", () => {
    const story = prepared().commit().wait(1999);
    expect(story.proposal).toBeNull();
    story.wait(1).commit();
    expect(story.committed).toMatchObject({ primaryId: 0, intent: null, follow: null });
    expect(story.committed?.backends.map(({ state }) => state)).not.toContain("down");
    expect(story.committed?.history.at(-1)).toMatchObject({
      outcome: "failed",
      problem: "transactions still ran after 2000 ms",
      newPrimaryId: 0,
    });
    expect(story.commands).toEqual([]);
  });

  it("stops the old primary all the same when they are to be cancelled", () => {
    const story = prepared({ onTimeout: "cancel" }).commit().wait(2000);
    expect(story.command?.text).toBe("demote stop 0 1");
  });

  it("gives up when the old primary cannot be looked at, or the target is lost", () => {
    const blind = prepared().commit().watched("connection reset").commit();
    expect(blind.committed?.history.at(-1)?.problem).toContain("connection reset");
    expect(blind.committed?.primaryId).toBe(0);
    const lost = prepared().commit().request("detach", [1]).commit();
    expect(lost.committed?.history.at(-1)?.problem).toBe("node 1 was lost");
    expect(lost.proposal?.state.intent?.kind).toBe("detach");
  });

  it.each([
    ["demote_command has failed", 1, ""],
    ["demote_command did not print where the log ends", 0, "stopped"],
  ])("starts the old primary again: %s", (problem, status, output) => {
    const story = stopping().finish(status, output);
    expect(story.committed).toMatchObject({ primaryId: null });
    expect(story.committed?.intent?.switchover).toMatchObject({ phase: "undoing", problem });
    expect(story.command?.text).toBe("demote start 0 1");
    story.finish().watched().commit();
    expect(story.committed).toMatchObject({ primaryId: 0, intent: null, follow: null });
    expect(story.committed?.backends[0]?.state).toBe("waiting");
    expect(story.committed?.history.at(-1)).toMatchObject({ outcome: "failed", problem });
  });

  it("starts the old primary again when the target does not catch up", () => {
    const story = stopping().finish(0, STOPPED).wait(10_000).commit();
    expect(story.command?.text).toBe("demote start 0 1");
    expect(story.committed?.intent?.switchover?.phase).toBe("undoing");
    expect(story.commands.map(({ kind }) => kind)).toEqual(["demote", "demote"]);
  });

  it("tries three times to start it, and then leaves it to a failover", () => {
    const story = stopping().finish(1).finish(1).finish(1).finish(1).commit();
    expect(story.committed).toMatchObject({ primaryId: null, intent: null });
    expect(story.committed?.backends[0]?.state).toBe("waiting");
    expect(story.lines).toContain(
      "WARNING: switchover: node 0 does not run again: start it by hand",
    );
  });

  it("does not tell a command to start that can only stop", () => {
    const only = makeSettings({ demoteCommand: "stop %d" });
    const story = new ClusterStory(only).settle().switchover().prepared().commit().watched();
    story.finish(1);
    expect(story.watch?.order).toMatchObject({ what: "primary", backendId: 0 });
    expect(story.commands.map(({ text }) => text)).toEqual(["stop 0"]);
    story.watched(null, [0]).commit();
    expect(story.committed?.primaryId).toBe(0);
  });

  it("is undone when failover_command fails for good and the target says it is a standby", () => {
    const story = unpromoted();
    expect(story.commands.map(({ text }) => text)).toEqual([
      "demote stop 0 1",
      ...Array.from({ length: 3 }, () => "failover 0 1 0"),
    ]);
    expect(story.watch?.order).toEqual({ what: "standby", backendId: 1 });
    story.watched().commit();
    expect(story.committed?.intent?.switchover?.phase).toBe("undoing");
    expect(story.command?.text).toBe("demote start 0 1");
    story.finish();
    expect(story.watch?.order).toEqual({ what: "primary", backendId: 0, besideId: 1 });
    story.watched(null, [0]).commit();
    expect(story.committed).toMatchObject({ primaryId: 0, intent: null, follow: null });
    expect(story.committed?.backends.map(({ state }) => state)).not.toContain("down");
    expect(story.committed?.history.at(-1)).toMatchObject({
      outcome: "failed",
      problem: "failover_command for node 0 ended with status 1",
      newPrimaryId: 0,
    });
  });

  it.each(["it is a primary", "standby promotion is ongoing", "no answer within 3000 ms"])(
    "is not undone when the target may be promoted: %s",
    (problem) => {
      const story = unpromoted().watched(problem).commit();
      expect(story.committed).toMatchObject({ primaryId: null, intent: null });
      expect(story.commands.map(({ text }) => text)).not.toContain("demote start 0 1");
      expect(story.committed?.history.at(-1)?.steps.at(-1)?.name).toBe(`not undone: ${problem}`);
    },
  );

  it("goes forward all the same when the target shows as the primary in the end", () => {
    const story = unpromoted().watched().commit().finish().watched(null, [0, 1]).commit();
    expect(story.committed).toMatchObject({ primaryId: 1, intent: null });
    expect(story.committed?.backends[0]?.state).toBe("down");
  });

  it("records what it decided before it acts on it, however often that is refused", () => {
    const story = stopping();
    story.recordsAtOnce = false;
    story.finish(1);
    expect(story.command).toBeNull();
    story.refuse().wait(100);
    expect(story.proposal?.state.intent?.switchover?.phase).toBe("undoing");
    story.commit();
    expect(story.command?.text).toBe("demote start 0 1");
  });

  it("does not promote before it is recorded that the old primary is stopped", () => {
    const story = stopping();
    story.recordsAtOnce = false;
    story.finish(0, STOPPED).watched();
    expect(story.command).toBeNull();
    story.commit();
    expect(story.command?.kind).toBe("failover");
  });

  it("takes the end of the old primary for what it is, once it was told to stop", () => {
    const story = stopping().request("detach", [0]);
    expect(story.lines).toContain("LOG: detach request for node 0 is already under way");
    const before = prepared().commit().request("detach", [0]).watched("reset").commit();
    expect(before.proposal?.state.intent?.kind).toBe("detach");
  });

  it("is one at a time, and whoever asks for another hears that it is refused", () => {
    const story = new ClusterStory(settings).settle().switchover();
    story.switchover({ id: "other" }).commit();
    const refused = { outcome: "failed", problem: "refused: another switchover is under way" };
    expect(story.committed?.history.at(-1)).toMatchObject({ eventId: "other", ...refused });
    story.prepared().switchover({ id: "third" }).commit();
    expect(story.committed?.intent).toMatchObject({ kind: "switchover", eventId: "wish" });
    story.watched("the connection was lost").commit().commit();
    const [wish, third] = story.committed?.history.slice(-2) ?? [];
    expect(wish).toMatchObject({ eventId: "wish", outcome: "failed" });
    expect(third).toMatchObject({ eventId: "third", ...refused });
  });
});

describe("a leader that takes over a switchover", () => {
  /** Another leader, with what the first one had committed. */
  function taken(first: ClusterStory): ClusterStory {
    const next = new ClusterStory(settings, "n1");
    next.index = first.index;
    next.deliver({ type: "committed", index: first.index, state: first.committed });
    return next.lead().commit();
  }

  it("undoes one that had not begun to stop the primary", () => {
    const story = taken(prepared().commit());
    expect(story.watch?.order).toEqual({ what: "roles", backendIds: [0, 1] });
    story.watched(null, [0]).commit();
    expect(story.committed).toMatchObject({ primaryId: 0, intent: null });
    expect(story.commands).toEqual([]);
  });

  it("leaves it to a failover when the old primary is gone and nobody knows where it ended", () => {
    const story = taken(stopping()).request("detach", [0]).watched().commit();
    expect(story.committed).toMatchObject({ intent: null });
    expect(story.proposal?.state.intent).toMatchObject({ kind: "detach", primaryChanges: true });
  });

  it("goes on when the old primary is known to be stopped", () => {
    const story = taken(stopping().finish(0, STOPPED)).watched();
    expect(story.watch?.order).toMatchObject({ what: "replayed", lsn: "0/5000028" });
    story.watched();
    expect(story.command?.text).toBe("failover 0 1 0");
  });

  it("finishes when the target has been promoted already", () => {
    const first = stopping().finish(0, STOPPED).watched();
    const story = taken(first).watched(null, [1]).commit();
    expect(story.committed?.primaryId).toBe(1);
    expect(story.committed?.follow?.remainingIds).toEqual([2, 0]);
    expect(story.commands.map(({ kind }) => kind)).toEqual(["follow-primary"]);
  });

  it("starts no old primary while it cannot see whether the target was promoted", () => {
    const story = taken(stopping().finish(0, STOPPED).watched());
    for (let look = 0; look < 3; look += 1) {
      expect(story.watch?.order.what).toBe("roles");
      story.watched().watched("connection refused");
      expect(story.watch).toBeNull();
      story.wait(1000);
    }
    story.watched(null, [1]).commit();
    expect(story.committed?.primaryId).toBe(1);
    expect(story.commands.map(({ kind }) => kind)).toEqual(["follow-primary"]);
  });

  it("undoes it in the end when the target says that it is no primary", () => {
    const story = taken(stopping().finish(0, STOPPED).watched());
    for (let look = 0; look < 30; look += 1) story.watched().watched("no session").wait(1000);
    expect(story.watch?.order).toEqual({ what: "standby", backendId: 1 });
    story.watched().commit();
    expect(story.command?.text).toBe("demote start 0 1");
  });

  it("undoes one whose failover_command has failed for good", () => {
    const first = unpromoted();
    const story = taken(first).watched().watched().answer(null).wait(2000);
    if (story.search !== null) story.answer(null);
    expect(story.watch?.order).toEqual({ what: "standby", backendId: 1 });
  });

  it("goes on undoing what was being undone", () => {
    const story = taken(stopping().finish(1)).watched();
    expect(story.command?.text).toBe("demote start 0 1");
    const back = taken(stopping().finish(1)).watched(null, [0]).commit();
    expect(back.committed).toMatchObject({ primaryId: 0, intent: null });
  });
});
