import { describe, expect, it } from "vitest";
import { decodeClusterState } from "../../../../../src/backend/index.ts";
import { ClusterStory, makeSettings } from "./cluster-story.ts";

describe("the conductor of failovers", () => {
  it("gives a new cluster its first state and finds its primary", () => {
    const story = new ClusterStory().lead().commitState(null).commit();
    story.answer(null).wait(400).wait(600).answer(1).commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > leads
      propose #1 after 0: epoch 1, primary unknown, 0 waiting, 1 waiting, 2 waiting
      > #1 is committed
      LOG: find_primary_node_repeatedly: waiting for finding a primary node
      search #2 among 0,1,2
      > answer to #2: no primary
      > 400 ms pass
      search #3 among 0,1,2
      > 600 ms pass
      > answer to #3: 1
      LOG: find_primary_node: primary node is 1
      propose #4 after 1: epoch 2, primary 1, 0 waiting, 1 waiting, 2 waiting
      > #4 is committed
      "
    `);
  });

  it("replaces a lost primary: intent, command, search, outcome", () => {
    const story = new ClusterStory().settle();
    story
      .request("detach", [0])
      .commit()
      .finish()
      .wait(50)
      .answer(null)
      .wait(1000)
      .answer(1)
      .commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: detach 0
      propose #4 after 2: epoch 3, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > #4 is committed
      LOG: === Starting degeneration. shutdown host db0(5432) ===
      LOG: execute command: failover 0 1 0
      run #5 failover: failover 0 1 0 (epoch 3, event n0-3)
      > command #5 ends with 0
      LOG: find_primary_node_repeatedly: waiting for finding a primary node
      search #6 among 1,2
      propose #7 after 3: epoch 3, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > #7 is committed
      > 50 ms pass
      > answer to #6: no primary
      search #8 among 1,2
      > 1000 ms pass
      > answer to #8: 1
      LOG: find_primary_node: primary node is 1
      propose #9 after 4: epoch 4, primary 1, 0 down, 1 waiting, 2 waiting
      > #9 is committed
      LOG: failover: set new primary node: 1
      LOG: failover: set new main node: 1
      LOG: === Failover done. shutdown host db0(5432) ===
      "
    `);
    expect(story.committed?.history.slice(1)).toMatchInlineSnapshot(`
      [
        {
          "backendIds": [
            0,
          ],
          "by": "",
          "commands": [
            {
              "backendId": 0,
              "endedAt": 0,
              "epoch": 3,
              "exitCode": 0,
              "kind": "failover",
              "outputTail": "",
              "signal": null,
              "startedAt": 0,
              "text": "failover 0 1 0",
              "timedOut": false,
            },
          ],
          "endedAt": 1050,
          "epoch": 3,
          "eventId": "n0-3",
          "kind": "detach",
          "lastEpoch": 4,
          "newPrimaryId": 1,
          "oldPrimaryId": 0,
          "outcome": "done",
          "problem": "",
          "reason": "test",
          "revision": 0,
          "startedAt": 0,
          "steps": [
            {
              "at": 0,
              "name": "granted",
            },
            {
              "at": 0,
              "name": "committed",
            },
            {
              "at": 0,
              "name": "no node uses the old state",
            },
            {
              "at": 1050,
              "name": "node 1 is the primary",
            },
          ],
          "votes": [],
        },
      ]
    `);
  });

  it("takes a standby out of service without a search", () => {
    const story = new ClusterStory().settle();
    story.request("detach", [2]).commit().finish().commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: detach 2
      propose #4 after 2: epoch 3, primary 0, 0 waiting, 1 waiting, 2 down, detach 2 runs
      > #4 is committed
      LOG: === Starting degeneration. shutdown host db2(5432) ===
      LOG: execute command: failover 2 0 0
      run #5 failover: failover 2 0 0 (epoch 3, event n0-3)
      > command #5 ends with 0
      propose #6 after 3: epoch 4, primary 0, 0 waiting, 1 waiting, 2 down
      > #6 is committed
      LOG: failover: set new primary node: 0
      LOG: failover: set new main node: 0
      LOG: === Failover done. shutdown host db2(5432) ===
      "
    `);
  });

  it("brings a backend back and runs failback_command", () => {
    const story = new ClusterStory().settle();
    story.request("detach", [2]).commit().finish().commit();
    story.lines.length = 0;
    story.request("attach", [2]).commit().finish().commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: attach 2
      propose #7 after 4: epoch 5, primary 0, 0 waiting, 1 waiting, 2 waiting, attach 2 runs
      > #7 is committed
      LOG: === Starting fail back. reconnect host db2(5432) ===
      LOG: execute command: failback 2
      run #8 failback: failback 2 (epoch 5, event n0-5)
      > command #8 ends with 0
      propose #9 after 5: epoch 6, primary 0, 0 waiting, 1 waiting, 2 waiting
      > #9 is committed
      LOG: failover: set new primary node: 0
      LOG: failover: set new main node: 0
      LOG: === Failback done. reconnect host db2(5432) ===
      "
    `);
  });

  it("writes the log lines of 4.3 when asked to", () => {
    const settings = makeSettings({ compatVersion: "4.3", failoverCommand: "" });
    const story = new ClusterStory(settings).settle();
    story.request("detach", [2]).commit().commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: detach 2
      propose #4 after 2: epoch 3, primary 0, 0 waiting, 1 waiting, 2 down, detach 2 runs
      > #4 is committed
      LOG: starting degeneration. shutdown host db2(5432)
      propose #5 after 3: epoch 4, primary 0, 0 waiting, 1 waiting, 2 down
      > #5 is committed
      LOG: failover: set new primary node: 0
      LOG: failover: set new main node: 0
      LOG: failover done. shutdown host db2(5432)
      "
    `);
  });

  it("says why a command failed, and lets the search decide all the same", () => {
    const story = new ClusterStory().settle();
    story.request("detach", [0]).commit().finish(3, "no route to host").wait(50).answer(1).commit();
    expect(story.lines).toContain(
      "WARNING: failover_command for node 0 ended with status 3 | no route to host",
    );
    expect(story.committed?.primaryId).toBe(1);
    expect(story.committed?.history.at(-1)?.commands).toEqual([
      {
        kind: "failover",
        backendId: 0,
        epoch: 3,
        text: "failover 0 1 0",
        startedAt: 0,
        endedAt: 0,
        exitCode: 3,
        signal: null,
        timedOut: false,
        outputTail: "no route to host",
      },
    ]);
  });

  it("gives up the search after search_primary_node_timeout, and looks on quietly", () => {
    const story = new ClusterStory(makeSettings({ searchPrimaryTimeoutMs: 1500 })).settle();
    story.request("detach", [0]).commit().finish().wait(50).answer(null).wait(1000).answer(null);
    story.wait(450).commit().answer(null).wait(1000).answer(1).commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: detach 0
      propose #4 after 2: epoch 3, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > #4 is committed
      LOG: === Starting degeneration. shutdown host db0(5432) ===
      LOG: execute command: failover 0 1 0
      run #5 failover: failover 0 1 0 (epoch 3, event n0-3)
      > command #5 ends with 0
      LOG: find_primary_node_repeatedly: waiting for finding a primary node
      search #6 among 1,2
      propose #7 after 3: epoch 3, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > #7 is committed
      > 50 ms pass
      > answer to #6: no primary
      search #8 among 1,2
      > 1000 ms pass
      > answer to #8: no primary
      search #9 among 1,2
      > 450 ms pass
      WARNING: failover: no primary was found in time
      propose #10 after 4: epoch 4, primary unknown, 0 down, 1 waiting, 2 waiting
      > #10 is committed
      LOG: failover: set new primary node: -1
      LOG: failover: set new main node: 1
      WARNING: === Failover FAILED. shutdown host db0(5432) === | no new primary was found
      LOG: find_primary_node_repeatedly: waiting for finding a primary node
      search #11 among 1,2
      > answer to #11: no primary
      > 1000 ms pass
      search #12 among 1,2
      > answer to #12: 1
      LOG: find_primary_node: primary node is 1
      propose #13 after 5: epoch 5, primary 1, 0 down, 1 waiting, 2 waiting
      > #13 is committed
      "
    `);
  });

  it("does not search at all when every backend is down", () => {
    const story = new ClusterStory().settle();
    story.request("detach", [0, 1, 2]).commit().finish().finish().finish().commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: detach 0,1,2
      propose #4 after 2: epoch 3, primary unknown, 0 down, 1 down, 2 down, detach 0,1,2 runs
      > #4 is committed
      LOG: === Starting degeneration. shutdown host db0(5432) ===
      LOG: === Starting degeneration. shutdown host db1(5432) ===
      LOG: === Starting degeneration. shutdown host db2(5432) ===
      LOG: failover: no valid backend node found
      LOG: execute command: failover 0 -1 0
      run #5 failover: failover 0 -1 0 (epoch 3, event n0-3)
      > command #5 ends with 0
      propose #6 after 3: epoch 3, primary unknown, 0 down, 1 down, 2 down, detach 0,1,2 runs
      > #6 is committed
      LOG: execute command: failover 1 -1 0
      run #7 failover: failover 1 -1 0 (epoch 3, event n0-3)
      > command #7 ends with 0
      propose #8 after 4: epoch 3, primary unknown, 0 down, 1 down, 2 down, detach 0,1,2 runs
      > #8 is committed
      LOG: execute command: failover 2 -1 0
      run #9 failover: failover 2 -1 0 (epoch 3, event n0-3)
      > command #9 ends with 0
      propose #10 after 5: epoch 3, primary unknown, 0 down, 1 down, 2 down, detach 0,1,2 runs
      > #10 is committed
      LOG: find_primary_node_repeatedly: all of the backends are down. Giving up finding primary node
      propose #11 after 6: epoch 4, primary unknown, 0 down, 1 down, 2 down
      > #11 is committed
      LOG: failover: set new primary node: -1
      LOG: === Failover done. shutdown host db0(5432) ===
      LOG: === Failover done. shutdown host db1(5432) ===
      LOG: === Failover done. shutdown host db2(5432) ===
      "
    `);
  });

  it("makes the others follow the new primary, one after another, the failed one last", () => {
    const settings = makeSettings({ followPrimaryCommand: "follow %d %m %H %P" });
    const story = new ClusterStory(settings).settle();
    story.request("detach", [0]).commit().finish().wait(50).answer(1).commit();
    story.lines.length = 0;
    story.finish(1, "cannot rewind").commit();
    // The script attaches its server before it ends.
    story.request("attach", [0]);
    const followCommand = story.command;
    story.commit().finish().commit();
    story.command = followCommand;
    story.finish().commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > command #9 ends with 1
      WARNING: follow_primary_command for node 2 ended with status 1 | cannot rewind
      propose #10 after 5: epoch 4, primary 1, 0 down, 1 waiting, 2 down, 0 have to follow
      > #10 is committed
      LOG: === Starting follow primary command for node 0 ===
      LOG: execute command: follow 0 1 db1 0
      run #11 follow-primary: follow 0 1 db1 0 (epoch 3, event n0-3)
      > granted: attach 0
      propose #12 after 6: epoch 5, primary 1, 0 waiting, 1 waiting, 2 down, attach 0 runs, 0 have to follow
      > #12 is committed
      LOG: === Starting fail back. reconnect host db0(5432) ===
      LOG: execute command: failback 0
      run #13 failback: failback 0 (epoch 5, event n0-5)
      > command #13 ends with 0
      propose #14 after 7: epoch 6, primary 1, 0 waiting, 1 waiting, 2 down, 0 have to follow
      > #14 is committed
      LOG: failover: set new primary node: 1
      LOG: failover: set new main node: 0
      LOG: === Failback done. reconnect host db0(5432) ===
      > command #11 ends with 0
      propose #15 after 8: epoch 6, primary 1, 0 waiting, 1 waiting, 2 down
      > #15 is committed
      "
    `);
    expect(story.committed?.follow).toBeNull();
    const [, failover] = story.committed?.history ?? [];
    expect(failover?.commands.map(({ kind }) => kind)).toEqual([
      "failover",
      "follow-primary",
      "follow-primary",
    ]);
  });

  it("stops a follower's command before it replaces the primary again", () => {
    const settings = makeSettings({ followPrimaryCommand: "follow %d" });
    const story = new ClusterStory(settings).settle();
    story.request("detach", [0]).commit().finish().wait(50).answer(1).commit();
    story.lines.length = 0;
    story.request("attach", [2]);
    const followCommand = story.command;
    story.commit().finish().commit().request("detach", [1]).commit();
    story.command = followCommand;
    story.finish();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: attach 2
      propose #10 after 5: epoch 5, primary 1, 0 down, 1 waiting, 2 waiting, attach 2 runs, 2,0 have to follow
      > #10 is committed
      LOG: === Starting fail back. reconnect host db2(5432) ===
      LOG: execute command: failback 2
      run #11 failback: failback 2 (epoch 5, event n0-5)
      > command #11 ends with 0
      propose #12 after 6: epoch 6, primary 1, 0 down, 1 waiting, 2 waiting, 2,0 have to follow
      > #12 is committed
      LOG: failover: set new primary node: 1
      LOG: failover: set new main node: 1
      LOG: === Failback done. reconnect host db2(5432) ===
      > granted: detach 1
      propose #13 after 7: epoch 7, primary unknown, 0 down, 1 down, 2 waiting, detach 1 runs, 2,0 have to follow
      > #13 is committed
      LOG: === Starting degeneration. shutdown host db1(5432) ===
      stop #9
      > command #9 ends with 0
      LOG: execute command: failover 1 2 1
      run #14 failover: failover 1 2 1 (epoch 7, event n0-7)
      "
    `);
  });

  it("promotes a backend as told: no failover_command, all others down", () => {
    const story = new ClusterStory().settle();
    story.request("promote", [2]).commit().commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: promote 2
      propose #4 after 2: epoch 3, primary unknown, 0 waiting, 1 waiting, 2 waiting, promote 2 runs
      > #4 is committed
      LOG: starting promotion. promote host db2(5432)
      LOG: === Starting follow degeneration. shutdown host db0(5432) ===
      LOG: === Starting follow degeneration. shutdown host db1(5432) ===
      propose #5 after 3: epoch 4, primary 2, 0 down, 1 down, 2 waiting
      > #5 is committed
      LOG: failover: set new primary node: 2
      LOG: failover: set new main node: 2
      LOG: === Promotion done. promoted host db2(5432) ===
      "
    `);
  });

  it("hands over to the server that a switchover names", () => {
    const story = new ClusterStory().settle();
    story.request("detach", [0], { switchoverTo: 2, confirmed: true }).commit();
    expect(story.commands.map(({ text }) => text)).toEqual(["failover 0 2 0"]);
  });

  it("runs nothing before every node has left the state of before, and needs no newer one", () => {
    const story = new ClusterStory().settle();
    story.settlesAtOnce = false;
    story.request("detach", [0]).commit().wait(10_000).settleAll(2);
    expect(story.commands).toEqual([]);
    story.settleAll(3);
    expect(story.commands).toHaveLength(1);
    // The outcome of a failover is committed without waiting for anybody.
    story.finish().wait(50).answer(1).commit();
    expect(story.committed).toMatchObject({ primaryId: 1, intent: null });
  });

  it("looks for the outcome of an unfinished failover only when its own state is settled", () => {
    const first = new ClusterStory().settle();
    first.request("detach", [0]).commit();
    const second = new ClusterStory(makeSettings(), "n1");
    second.index = 2;
    // What the leader before had settled says nothing about those that it told since.
    second.commitState(first.committed);
    second.settlesAtOnce = false;
    second.lead().commit();
    expect([second.search, second.command]).toEqual([null, null]);
    second.settleAll();
    expect(second.search).not.toBeNull();
  });

  it("promotes nobody before every node has left the old primary", () => {
    const story = new ClusterStory().settle();
    story.settlesAtOnce = false;
    story.request("promote", [2]).commit();
    expect([story.committed?.primaryId, story.proposal]).toEqual([null, null]);
    story.settleAll().commit();
    expect(story.committed?.primaryId).toBe(2);
  });

  it("keeps requests for later while one runs, once each", () => {
    const story = new ClusterStory().settle();
    story.request("detach", [0]).request("detach", [0]).commit();
    story.request("detach", [0]).request("detach", [2]).request("detach", [2]);
    story.finish().wait(50).answer(1).commit().commit().finish().commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: detach 0
      propose #4 after 2: epoch 3, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > granted: detach 0
      LOG: detach request for node 0 is already under way
      > #4 is committed
      LOG: === Starting degeneration. shutdown host db0(5432) ===
      LOG: execute command: failover 0 1 0
      run #5 failover: failover 0 1 0 (epoch 3, event n0-3)
      > granted: detach 0
      LOG: detach request for node 0 is already under way
      > granted: detach 2
      > granted: detach 2
      LOG: detach request for node 2 is already under way
      > command #5 ends with 0
      LOG: find_primary_node_repeatedly: waiting for finding a primary node
      search #6 among 1,2
      propose #7 after 3: epoch 3, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > #7 is committed
      > 50 ms pass
      > answer to #6: 1
      LOG: find_primary_node: primary node is 1
      propose #8 after 4: epoch 4, primary 1, 0 down, 1 waiting, 2 waiting
      > #8 is committed
      LOG: failover: set new primary node: 1
      LOG: failover: set new main node: 1
      LOG: === Failover done. shutdown host db0(5432) ===
      propose #9 after 5: epoch 5, primary 1, 0 down, 1 waiting, 2 down, detach 2 runs
      > #9 is committed
      LOG: === Starting degeneration. shutdown host db2(5432) ===
      LOG: execute command: failover 2 1 1
      run #10 failover: failover 2 1 1 (epoch 5, event n0-5)
      > command #10 ends with 0
      propose #11 after 6: epoch 6, primary 1, 0 down, 1 waiting, 2 down
      > #11 is committed
      LOG: failover: set new primary node: 1
      LOG: failover: set new main node: 1
      LOG: === Failover done. shutdown host db2(5432) ===
      "
    `);
  });

  it("drops what comes when ten requests wait, and says so", () => {
    const story = new ClusterStory().settle();
    story.request("detach", [0]);
    for (let id = 1; id < 12; id += 1) story.request("detach", [1, id]);
    expect(story.state.queue).toHaveLength(10);
    expect(story.lines.at(-1)).toBe(
      "WARNING: detach request for node 1, 11 is dropped: 10 requests wait already",
    );
  });

  it("goes on to the next server when the candidate is lost during the search", () => {
    const story = new ClusterStory().settle();
    story.request("detach", [0]).commit().finish().wait(50).request("detach", [1]).answer(null);
    story.commit().commit().finish().wait(50).answer(2).commit();
    expect(story.commands.map(({ text }) => text)).toEqual(["failover 0 1 0", "failover 1 2 -1"]);
    expect(story.committed?.primaryId).toBe(2);
  });

  it("makes a refused proposal again, from the newest state", () => {
    const story = new ClusterStory().settle();
    story.request("detach", [2]).refuse().wait(99).wait(1).commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: detach 2
      propose #4 after 2: epoch 3, primary 0, 0 waiting, 1 waiting, 2 down, detach 2 runs
      > #4 is refused
      > 99 ms pass
      > 1 ms pass
      propose #5 after 2: epoch 3, primary 0, 0 waiting, 1 waiting, 2 down, detach 2 runs
      > #5 is committed
      LOG: === Starting degeneration. shutdown host db2(5432) ===
      LOG: execute command: failover 2 0 0
      run #6 failover: failover 2 0 0 (epoch 3, event n0-3)
      "
    `);
  });

  it("takes over an unfinished failover: adopts it first, and skips the command when it worked", () => {
    const first = new ClusterStory(makeSettings(), "n0").settle();
    first.request("detach", [0]).commit();
    const second = new ClusterStory(makeSettings(), "n1");
    second.index = 7;
    second.commitState(first.committed).lead().commit().answer(1).commit();
    expect(second.text).toMatchInlineSnapshot(`
      "
      > leads
      propose #1 after 8: epoch 4, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > #1 is committed
      LOG: taking over the unfinished detach of node 0
      search #2 among 1,2
      > answer to #2: 1
      LOG: find_primary_node: primary node is 1
      LOG: failover_command is not run again: the primary has been replaced already
      propose #3 after 9: epoch 5, primary 1, 0 down, 1 waiting, 2 waiting
      > #3 is committed
      LOG: failover: set new primary node: 1
      LOG: failover: set new main node: 1
      LOG: === Failover done. shutdown host db0(5432) ===
      "
    `);
    expect(second.commands).toEqual([]);
  });

  it("runs the command of an unfinished failover again when no primary shows, in an epoch of its own", () => {
    const first = new ClusterStory(makeSettings(), "n0").settle();
    first.request("detach", [0]).commit();
    const second = new ClusterStory(makeSettings(), "n1");
    second.commitState(first.committed).lead().commit().answer(null).finish().wait(50);
    second.answer(1).commit();
    expect(second.commands[0]?.env).toEqual({
      ...first.commands[0]?.env,
      PGQUORUM_EPOCH: "4",
    });
    expect(second.commands).toHaveLength(1);
    expect(second.committed?.intent).toBeNull();
  });

  it("does nothing for a state that is not the newest", () => {
    const first = new ClusterStory(makeSettings(), "n0").settle();
    first.request("detach", [0]).commit();
    const unfinished = first.committed;
    first.finish().wait(50).answer(1).commit();
    const second = new ClusterStory(makeSettings(), "n1");
    second.commitState(unfinished).lead().refuse().commitState(first.committed).wait(100);
    expect(second.commands).toEqual([]);
    expect(second.proposal).toBeNull();
  });

  it("stops its command when it no longer leads, and waits for its end before another", () => {
    const story = new ClusterStory().settle();
    story.request("detach", [0]).request("detach", [2]).commit().lead(false).lead().commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: detach 0
      propose #4 after 2: epoch 3, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > granted: detach 2
      > #4 is committed
      LOG: === Starting degeneration. shutdown host db0(5432) ===
      LOG: execute command: failover 0 1 0
      run #5 failover: failover 0 1 0 (epoch 3, event n0-3)
      > no longer leads
      kill #5
      LOG: detach request for node 2 is dropped: this node no longer leads the cluster
      > leads
      propose #6 after 3: epoch 4, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > #6 is committed
      LOG: taking over the unfinished detach of node 0
      "
    `);
    story.finish().answer(null);
    expect(story.commands).toHaveLength(2);
  });

  it("leaves lost backends alone while the cluster is still starting up", () => {
    const story = new ClusterStory().lead().commitState(null).commit().answer(null);
    story.request("detach", [0]);
    expect(story.lines.at(-1)).toBe(
      "LOG: ignoring the failover request, since we are still starting up",
    );
    story.wait(1000).answer(null).wait(10_000).request("detach", [0]);
    expect(story.proposal?.state.intent?.backendIds).toEqual([0]);
  });

  it("refuses what there is nothing to do for, in words", () => {
    const settings = makeSettings();
    const backends = settings.backends.map((one) =>
      one.id === 2 ? { ...one, mayFailover: false } : one,
    );
    const story = new ClusterStory({ ...settings, backends }).settle();
    story.request("detach", [2]).request("detach", [9]).request("attach", [1]);
    story.request("promote", [0]).request("detach", [0], { switchoverTo: 0 }).request("detach", []);
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: detach 2
      LOG: degenerate backend request for node_id: 2 is canceled because failover is disallowed on the node
      > granted: detach 9
      LOG: invalid degenerate backend request, node id: 9 is out of range. node id must be between [0 and 127] and configured
      > granted: attach 1
      LOG: invalid failback request, status: [1] of node id : 1 is invalid for failback
      > granted: promote 0
      LOG: specified node is already primary node, can't promote node id 0
      > granted: detach 0
      LOG: invalid promote backend request, node id : 0 cannot take over
      > granted: detach 
      LOG: failover: no backends are degenerated
      "
    `);
  });

  it("starts no follow_primary_command before its predecessor's must have ended", () => {
    const settings = makeSettings({ followPrimaryCommand: "follow %d" });
    const old = new ClusterStory(settings).settle();
    old.request("detach", [0]).commit().finish().wait(50).answer(1).commit();
    expect(old.command?.text).toBe("follow 2");
    const next = new ClusterStory(settings, "n1");
    next.settlesAtOnce = false;
    next.lead().commitState(old.committed).commit();
    expect(next.commands).toEqual([]);
    next.deliver({ type: "settled", index: next.index });
    expect(next.commands.map((command) => command.text)).toEqual(["follow 2"]);
  });

  it("follows a configuration with more and fewer servers", () => {
    const story = new ClusterStory().settle();
    const settings = makeSettings();
    const [, one, two] = settings.backends;
    if (one === undefined || two === undefined) throw new Error("three servers are configured");
    const backends = [one, two, { ...two, id: 4 }];
    story.deliver({ type: "configured", settings: { ...settings, backends } }).commit();
    expect(story.text).toMatchInlineSnapshot(`
      "
      propose #4 after 2: epoch 3, primary unknown, 1 waiting, 2 waiting, 4 waiting
      > #4 is committed
      LOG: find_primary_node_repeatedly: waiting for finding a primary node
      search #5 among 1,2,4
      "
    `);
  });

  it("believes ALWAYS_PRIMARY without asking", () => {
    const settings = makeSettings();
    const backends = settings.backends.map((one) => ({ ...one, alwaysPrimary: one.id === 2 }));
    const story = new ClusterStory({ ...settings, backends }).lead().commitState(null).commit();
    expect(story.commit().committed?.primaryId).toBe(2);
    expect(story.search).toBeNull();
  });

  it("begins an epoch of the primary when another one may take its place, and only then", () => {
    const story = new ClusterStory().settle();
    const first = story.committed?.primaryEpoch;
    story.request("detach", [2]).commit().finish().commit();
    expect(story.committed?.epoch).toBeGreaterThan(first ?? 0);
    expect(story.committed?.primaryEpoch).toBe(first);
    story.request("detach", [0]).commit();
    const begun = story.committed?.primaryEpoch ?? 0;
    expect(begun).toBe(story.committed?.epoch);
    story.finish().answer(1).commit();
    expect(story.committed?.primaryId).toBe(1);
    expect(story.committed?.primaryEpoch).toBeGreaterThan(begun);
  });

  it("proposes only what every node can read back", () => {
    const story = new ClusterStory(makeSettings({ followPrimaryCommand: "follow" })).settle();
    story.request("detach", [0]).commit().finish(1, "x".repeat(400)).wait(50).answer(1).commit();
    const text = JSON.stringify(story.committed);
    expect(decodeClusterState(JSON.parse(text))).toEqual({ ok: true, value: story.committed });
  });
});

describe("servers that were all made anew", () => {
  const before = { systemIdentifier: "7000", timeline: 3 };
  const identity = { systemIdentifier: "7999", timeline: 1 };

  function known(): ClusterStory {
    const story = new ClusterStory(makeSettings()).settle();
    const { committed } = story;
    if (committed === null) throw new Error("nothing was committed");
    return story.commitState({ ...committed, identity: before });
  }

  it("are recorded with the history, and then no news", () => {
    const story = known().deliver({ type: "renewed", primaryId: 0, identity }).commit();
    expect(story.committed).toMatchObject({ primaryId: 0, identity });
    expect(story.committed?.history.at(-1)).toMatchObject({
      kind: "primary",
      reason: "all servers were made anew: system identifier 7999, not 7000",
    });
    story.deliver({ type: "renewed", primaryId: 0, identity });
    expect(story.proposal).toBeNull();
  });

  it("are not recorded when the primary is another by now", () => {
    expect(known().deliver({ type: "renewed", primaryId: 1, identity }).proposal).toBeNull();
  });
});
