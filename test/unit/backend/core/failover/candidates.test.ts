/** Who takes over from a lost primary, as the conductor finds it out. */
import { describe, expect, it } from "vitest";
import type { ReplicationAnswer, SynchronousSet } from "../../../../../src/backend/index.ts";
import { standbyAnswer } from "../roles/answers.ts";
import { ClusterStory, makeSettings } from "./cluster-story.ts";

const SET: SynchronousSet = {
  primaryId: 0,
  neededCount: 1,
  listedIds: [1, 2],
  strangersCount: 0,
  syncIds: [2],
  rule: "FIRST 1 (server2, server1)",
};

function at(id: number, lsn: string): ReplicationAnswer {
  return standbyAnswer(id, null, { walLsn: lsn, receivedLsn: lsn });
}

/** With node 0 as the primary and node 2 as its synchronous standby, published. */
function synchronousStory(): ClusterStory {
  const story = new ClusterStory(makeSettings({ candidate: "lsn" })).settle();
  story.deliver({ type: "synchronous-seen", primaryId: 0, set: SET }).commit();
  expect(story.committed?.synchronous).toEqual(SET);
  story.lines.length = 0;
  return story;
}

describe("the published synchronous set", () => {
  it("is committed when it changes, and only what the primary of the state says", () => {
    const story = synchronousStory();
    story.deliver({ type: "synchronous-seen", primaryId: 0, set: { ...SET } });
    story.deliver({ type: "synchronous-seen", primaryId: 1, set: null });
    expect(story.proposal).toBeNull();
    story.deliver({ type: "synchronous-seen", primaryId: 0, set: null }).commit();
    expect(story.committed?.synchronous).toBeNull();
    expect(story.committed?.epoch).toBe(2);
  });

  it("goes before a failover that waits", () => {
    const story = new ClusterStory(makeSettings({ candidate: "lsn" })).settle();
    story.deliver({ type: "synchronous-seen", primaryId: 0, set: null });
    story.deliver({ type: "synchronous-seen", primaryId: 0, set: SET });
    story.request("detach", [0]).commit();
    expect(story.committed).toMatchObject({ synchronous: SET, intent: null });
    story.commit();
    expect(story.committed).toMatchObject({ synchronous: SET, intent: { newMainId: 1 } });
  });
});

describe("failover_candidate = lsn", () => {
  it("asks all, records who is the most advanced, and only then runs the command for it", () => {
    const story = synchronousStory();
    story.recordsAtOnce = false;
    story.request("detach", [0]).commit();
    expect(story.commands).toEqual([]);
    story.positions([at(2, "0/50")], false);
    expect(story.proposal).toBeNull();
    story.positions([at(2, "0/50"), at(1, "0/40")]);
    expect(story.commands).toEqual([]);
    story.commit();
    expect(story.committed?.intent).toMatchObject({
      newMainId: 2,
      choice: { by: "lsn", doubt: "" },
    });
    expect(story.text).toMatchInlineSnapshot(`
      "
      > granted: detach 0
      propose #5 after 3: epoch 3, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > #5 is committed
      LOG: === Starting degeneration. shutdown host db0(5432) ===
      ask #6 0,1,2
      LOG: failover: node 2 is the most advanced, at 0/50
      propose #7 after 4: epoch 3, primary unknown, 0 down, 1 waiting, 2 waiting, detach 0 runs
      > #7 is committed
      LOG: execute command: failover 0 2 0
      run #8 failover: failover 0 2 0 (epoch 3, event n0-3)
      "
    `);
    expect(story.commands.map(({ text }) => text)).toEqual(["failover 0 2 0"]);
  });

  it("keeps to the choice that a leader before has recorded", () => {
    const first = synchronousStory();
    first.request("detach", [0]).commit();
    first.positions([at(1, "0/40"), at(2, "0/50")]);
    const next = new ClusterStory(makeSettings({ candidate: "lsn" }), "n1");
    next.index = first.index;
    next.deliver({ type: "committed", index: first.index, state: first.committed });
    next.lead().commit().answer(null);
    expect(next.asked).toBeNull();
    expect(next.commands.map(({ text }) => text)).toEqual(["failover 0 2 0"]);
  });

  it("chooses anew when the leader before had not got so far", () => {
    const first = synchronousStory();
    first.request("detach", [0]).commit();
    const next = new ClusterStory(makeSettings({ candidate: "lsn" }), "n1");
    next.index = first.index;
    next.deliver({ type: "committed", index: first.index, state: first.committed });
    next.lead().commit().answer(null);
    next.positions([at(1, "0/40"), at(2, "0/50")]);
    expect(next.commands.map(({ text }) => text)).toEqual(["failover 0 2 0"]);
  });

  it("waits for a listed standby, then takes the published one and says that it is in doubt", () => {
    const story = synchronousStory();
    story.request("detach", [0]).commit();
    story
      .positions([at(2, "0/50")])
      .wait(200)
      .positions([at(2, "0/50")]);
    expect(story.commands).toEqual([]);
    story.wait(2800).commit();
    expect(story.commands).toHaveLength(1);
    expect(story.text).toContain(
      "WARNING: failover: commits that clients were told of may be missing on node 2 | node 1 did not say how far it is",
    );
    story.finish().wait(50).answer(2).commit();
    expect(story.committed?.history.at(-1)).toMatchObject({
      outcome: "done",
      newPrimaryId: 2,
      problem: "commits that clients were told of may be missing: node 1 did not say how far it is",
    });
  });

  it("promotes nobody while only others answer, and the published one as soon as it is back", () => {
    const story = synchronousStory();
    story
      .request("detach", [0])
      .commit()
      .positions([at(1, "0/40")]);
    story
      .wait(3000)
      .positions([at(1, "0/40")])
      .wait(4000);
    expect(story.commands).toEqual([]);
    expect(story.text).toContain(
      "WARNING: failover: nobody is promoted yet, for commits would be lost | " +
        "only node 2 was known to be synchronous, and cannot take over",
    );
    story.positions([at(1, "0/40"), at(2, "0/50")]);
    expect(story.commands.map(({ text }) => text)).toEqual(["failover 0 2 0"]);
  });

  it("takes back one that was synchronous and has been detached, when it answers again", () => {
    const story = synchronousStory();
    story.request("detach", [2]).commit().finish().commit();
    story.request("detach", [0]).commit();
    story.request("detach", [2]);
    story.positions([at(1, "0/40"), at(2, "0/50")]);
    expect(story.commands).toHaveLength(1);
    story.wait(3000).commit();
    expect(story.commands.at(-1)?.text).toBe("failover 0 2 0");
    story.finish().wait(50).answer(2).commit();
    expect(story.committed).toMatchObject({ primaryId: 2, intent: null });
    expect(story.committed?.backends.map(({ state }) => state)).toEqual([
      "down",
      "waiting",
      "waiting",
    ]);
    expect(story.proposal).toBeNull();
  });

  it("gives up when the time for a new primary is over, and has failed", () => {
    const story = synchronousStory();
    story.request("detach", [0]).commit();
    for (let count = 0; count < 10; count += 1) story.positions([at(1, "0/40")]).wait(1000);
    story.commit();
    expect(story.commands).toEqual([]);
    expect(story.committed).toMatchObject({ primaryId: null, intent: null });
    expect(story.committed?.history.at(-1)?.outcome).toBe("failed");
  });

  it("leaves it to a person who names the one", () => {
    const story = synchronousStory();
    story.request("detach", [0], { switchoverTo: 1, confirmed: true }).commit();
    expect(story.asked).toBeNull();
    expect(story.commands.map(({ text }) => text)).toEqual(["failover 0 1 0"]);
  });

  it("does not wait for another hour when nothing is to be known", () => {
    const story = synchronousStory();
    story.request("detach", [0]).commit();
    story.deliver({ type: "tick" }).deliver({ type: "tick" });
    expect(story.text.match(/ask #/gu)).toHaveLength(1);
  });
});

describe("failover_candidate = id", () => {
  it("takes the lowest at once, and says when another has more", () => {
    const story = new ClusterStory().settle();
    story.request("detach", [0]).commit();
    expect(story.commands.map(({ text }) => text)).toEqual(["failover 0 1 0"]);
    story.positions([at(1, "0/40"), at(2, "0/50")]);
    expect(story.text).toContain(
      "WARNING: failover: node 1 takes over although node 2 has 16 bytes more",
    );
  });

  it("says nothing when nobody has", () => {
    const story = new ClusterStory().settle();
    story
      .request("detach", [0])
      .commit()
      .positions([at(1, "0/50"), at(2, "0/50")]);
    expect(story.text).not.toContain("WARNING");
  });
});
