import { describe, expect, it } from "vitest";
import { decodeClusterState } from "../../../../../src/backend/index.ts";
import { ClusterStory, makeSettings } from "./cluster-story.ts";

function lastEntry(story: ClusterStory) {
  const entry = story.committed?.history.at(-1);
  if (entry === undefined) throw new Error("nothing is on record");
  return entry;
}

describe("a failover_command that fails", () => {
  it("is run again after a growing pause, each time in an epoch of its own", () => {
    const story = new ClusterStory().settle();
    story.request("detach", [0]).commit().finish(1, "no route to host");
    story.answer(null).wait(1000).answer(null).commit().finish(255, "still none");
    story.answer(null).wait(1000).answer(null).wait(1000).answer(null).commit().finish().wait(50);
    story.answer(1).commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: detach 0
      propose #4 after 2: epoch 3, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > #4 is committed
      LOG: === Starting degeneration. shutdown host db0(5432) ===
      LOG: execute command: failover 0 1 0
      run #5 failover: failover 0 1 0 (epoch 3, event n0-3)
      > command #5 ends with 1
      search #6 among 1,2
      WARNING: failover_command for node 0 ended with status 1 | no route to host
      propose #7 after 3: epoch 3, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > #7 is committed
      > answer to #6: no primary
      > 1000 ms pass
      search #8 among 1,2
      > answer to #8: no primary
      LOG: failover_command is run again: attempt 2 of 3
      propose #9 after 4: epoch 4, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > #9 is committed
      LOG: execute command: failover 0 1 0
      run #10 failover: failover 0 1 0 (epoch 4, event n0-3)
      > command #10 ends with 255
      search #11 among 1,2
      WARNING: failover_command for node 0 ended with status 255 | still none
      propose #12 after 5: epoch 4, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > #12 is committed
      > answer to #11: no primary
      > 1000 ms pass
      search #13 among 1,2
      > answer to #13: no primary
      > 1000 ms pass
      search #14 among 1,2
      > answer to #14: no primary
      LOG: failover_command is run again: attempt 3 of 3
      propose #15 after 6: epoch 5, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > #15 is committed
      LOG: execute command: failover 0 1 0
      run #16 failover: failover 0 1 0 (epoch 5, event n0-3)
      > command #16 ends with 0
      LOG: find_primary_node_repeatedly: waiting for finding a primary node
      search #17 among 1,2
      propose #18 after 7: epoch 5, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > #18 is committed
      > 50 ms pass
      > answer to #17: 1
      LOG: find_primary_node: primary node is 1
      propose #19 after 8: epoch 6, primary 1, 0 down, 1 waiting, 2 waiting
      > #19 is committed
      LOG: failover: set new primary node: 1
      LOG: failover: set new main node: 1
      LOG: === Failover done. shutdown host db0(5432) ===
      "
    `);
    expect(story.commands.map(({ env }) => [env.PGQUORUM_EPOCH, env.PGQUORUM_ATTEMPT])).toEqual([
      ["3", "1"],
      ["4", "2"],
      ["5", "3"],
    ]);
    const entry = lastEntry(story);
    expect(entry).toMatchObject({ outcome: "done", epoch: 3, lastEpoch: 6, newPrimaryId: 1 });
    expect(entry.problem).toBe("failover_command for node 0 ended with status 255");
    expect(entry.commands.map(({ exitCode, epoch }) => [exitCode, epoch])).toEqual([
      [1, 3],
      [255, 4],
      [0, 5],
    ]);
  });

  it("counts for nothing when a primary shows all the same", () => {
    const story = new ClusterStory().settle();
    story.request("detach", [0]).commit().finish(1, "cannot move the slots").answer(1).commit();
    expect(story.commands).toHaveLength(1);
    expect(story.committed?.primaryId).toBe(1);
    expect(lastEntry(story).outcome).toBe("done");
  });

  it("is given up after its last attempt: FAILED, never done, and clients are not held on", () => {
    const settings = makeSettings({ commandRetriesMax: 0, searchPrimaryTimeoutMs: 300_000 });
    const story = new ClusterStory(settings).settle();
    story.request("detach", [0]).commit().finish(1, "no").wait(50).answer(null);
    for (let second = 0; second < 4; second += 1) story.wait(1000).answer(null);
    story.wait(1000).commit();
    expect(story.lines).not.toContainEqual(expect.stringContaining("Failover done"));
    expect(story.lines).toContain(
      "WARNING: === Failover FAILED. shutdown host db0(5432) === | " +
        "failover_command for node 0 ended with status 1; no new primary was found",
    );
    expect(lastEntry(story)).toMatchObject({ outcome: "failed", newPrimaryId: null });
    // The cluster goes on looking: somebody may promote a server by hand.
    story.answer(null).wait(1000).answer(1).commit();
    expect(story.committed).toMatchObject({ primaryId: 1, intent: null });
  });

  it("whose time was over says so", () => {
    const story = new ClusterStory(makeSettings({ commandTimeoutMs: 5000 })).settle();
    story.request("detach", [0]).commit();
    const { command } = story;
    if (command === null) throw new Error("a command runs");
    expect(command.timeoutMs).toBe(5000);
    const { commandId } = command;
    const end = { exitCode: null, signal: "SIGTERM", timedOut: true, outputTail: "waiting" };
    story.deliver({ type: "command-finished", commandId, ...end });
    expect(story.lines).toContain(
      "WARNING: failover_command for node 0 was ended because its time was over | waiting",
    );
  });

  it("for a standby is on record, and not run again: nothing waits for it", () => {
    const story = new ClusterStory().settle();
    story.request("detach", [2]).commit().finish(1, "no").commit();
    expect(story.commands).toHaveLength(1);
    const problem = "failover_command for node 2 ended with status 1";
    expect(lastEntry(story)).toMatchObject({ outcome: "done", problem });
  });

  it("is not run again when the candidate is lost too: its successor is tried", () => {
    const story = new ClusterStory().settle();
    story.request("detach", [0]).commit().finish(1).request("detach", [1]).answer(null);
    story.commit().wait(50).answer(null).commit().commit();
    expect(story.commands.map(({ text }) => text)).toEqual(["failover 0 1 0", "failover 1 2 -1"]);
  });

  it("leaves to the next leader how often it was run", () => {
    const settings = makeSettings({ commandRetriesMax: 1 });
    const first = new ClusterStory(settings).settle();
    first.request("detach", [0]).commit().finish(1).answer(null).wait(1000).answer(null).commit();
    const second = new ClusterStory(settings, "n1");
    second.commitState(first.committed).lead().commit().answer(null);
    expect(second.commands[0]?.env.PGQUORUM_ATTEMPT).toBe("2");
    second.finish(1).wait(50).answer(null);
    expect(second.state.task?.stage).toBe("searching");
  });
});

describe("the history", () => {
  it("keeps who asked when, and when each step was taken", () => {
    const story = new ClusterStory().settle();
    story.nowMs = 5000;
    story.settlesAtOnce = false;
    story.deliver({
      type: "granted",
      request: {
        kind: "detach",
        backendIds: [0],
        confirmed: false,
        switchoverTo: null,
        reason: "x",
      },
      votes: [
        { nodeId: 2, agoMs: 40, reason: "refused" },
        { nodeId: 0, agoMs: 0, reason: "timeout" },
      ],
      wallMs: 5000,
    });
    story.wait(10).commit().wait(20).settleAll().wait(300).finish().wait(50).answer(1).commit();
    const entry = lastEntry(story);
    expect(entry.votes).toEqual([
      { nodeId: 2, at: 4960, reason: "refused" },
      { nodeId: 0, at: 5000, reason: "timeout" },
    ]);
    expect(entry.steps).toEqual([
      { name: "granted", at: 5000 },
      { name: "committed", at: 5010 },
      { name: "no node uses the old state", at: 5030 },
      { name: "node 1 is the primary", at: 5380 },
    ]);
    expect(entry.commands).toMatchObject([{ startedAt: 5030, endedAt: 5330 }]);
  });

  it("keeps every kind of event, and stays small", () => {
    const story = new ClusterStory().settle();
    const output = "x".repeat(400);
    for (let round = 0; round < 12; round += 1) {
      story.request("detach", [2]).commit().finish(1, output).commit();
      story.request("attach", [2]).commit().finish(1, output).commit();
    }
    const text = JSON.stringify(story.committed);
    expect(text.length).toBeLessThan(16_000);
    expect(decodeClusterState(JSON.parse(text))).toEqual({ ok: true, value: story.committed });
  });
});

describe("maintenance", () => {
  const on = { confirmed: true, by: "root on node 1", reason: "new disks" };

  it("keeps back what no person asked for, and says so once a minute", () => {
    const story = new ClusterStory().settle();
    story.request("maintenance-on", [], on).commit();
    story.lines.length = 0;
    story.wait(30_000).request("detach", [0], { reason: "refused" });
    story.wait(59_000).request("detach", [0]).wait(1000).request("detach", [0]);
    story.request("attach", [2], { confirmed: true, isAutomatic: true });
    expect(story.text).toMatchInlineSnapshot(`
      "
      > 30000 ms pass
      > granted: detach 0
      WARNING: would detach node 0, but maintenance has been on for 30 s | refused; maintenance was begun by root on node 1: new disks
      > 59000 ms pass
      > granted: detach 0
      > 1000 ms pass
      > granted: detach 0
      WARNING: would detach node 0, but maintenance has been on for 90 s | test; maintenance was begun by root on node 1: new disks
      > granted: attach 2
      WARNING: would attach node 2, but maintenance has been on for 90 s | test; maintenance was begun by root on node 1: new disks
      "
    `);
    expect(story.committed?.maintenance).toEqual({
      since: 0,
      by: "root on node 1",
      reason: "new disks",
    });
  });

  it("lets a person's wish through, and ends", () => {
    const story = new ClusterStory().settle();
    story.request("maintenance-on", [], on).commit();
    story.request("detach", [2], { confirmed: true }).commit().finish().commit();
    story.request("maintenance-off", [], { confirmed: true }).commit();
    expect(story.committed?.maintenance).toBeNull();
    story.request("maintenance-off", [], { confirmed: true });
    expect(story.lines.at(-1)).toBe("LOG: maintenance is off already");
    story.request("detach", [0]);
    expect(story.proposal?.state.intent?.backendIds).toEqual([0]);
    expect(story.committed?.history.map(({ kind, by }) => [kind, by])).toEqual([
      ["primary", ""],
      ["maintenance-on", "root on node 1"],
      ["detach", ""],
      ["maintenance-off", ""],
    ]);
  });
});
