/** The leader dies at one step of a failover, and another goes on: one primary, one execution. */
import { describe, expect, it } from "vitest";
import { ClusterStory, makeSettings } from "./cluster-story.ts";

/** What the cluster has when the first leader is gone, and what that leader ran. */
function until(step: (story: ClusterStory) => void): ClusterStory {
  const first = new ClusterStory(makeSettings(), "n0").settle();
  step(first);
  return first;
}

/** Leads after it; a command of the first leader was killed with that one's right to lead. */
function successorOf(first: ClusterStory): ClusterStory {
  const second = new ClusterStory(makeSettings(), "n1");
  second.index = first.index - 1;
  second.nowMs = first.nowMs;
  second.commitState(first.committed).lead();
  return second;
}

function runs(...stories: readonly ClusterStory[]): readonly string[] {
  return stories.flatMap((story) =>
    story.commands.map(({ env, text }) => `${env.PGQUORUM_EPOCH}: ${text}`),
  );
}

function expectOnePrimary(story: ClusterStory): void {
  expect(story.committed).toMatchObject({ primaryId: 1, intent: null });
  const failovers = story.committed?.history.filter(({ kind }) => kind === "detach") ?? [];
  expect(failovers).toMatchObject([{ outcome: "done", newPrimaryId: 1 }]);
}

describe("a leader that dies", () => {
  it("before its intent is committed leaves nothing: the nodes ask again", () => {
    const first = until((story) => story.request("detach", [0]));
    expect(first.proposal).not.toBeNull();
    const second = successorOf(first);
    expect([second.proposal, second.search]).toEqual([null, null]);
    second.request("detach", [0]).commit().finish().answer(1).commit();
    expect(runs(first, second)).toEqual(["3: failover 0 1 0"]);
    expectOnePrimary(second);
  });

  it("after its intent, before all nodes hold, leaves the command to the next", () => {
    const first = until((story) => {
      story.settlesAtOnce = false;
      story.request("detach", [0]).commit();
    });
    const second = successorOf(first).commit().answer(null);
    second.finish().answer(1).commit();
    expect(runs(first, second)).toEqual(["4: failover 0 1 0"]);
    expectOnePrimary(second);
  });

  it("during the command, which dies with it, leaves it to the next, in another epoch", () => {
    const first = until((story) => story.request("detach", [0]).commit());
    const second = successorOf(first).commit().answer(null);
    second.finish().answer(1).commit();
    expect(runs(first, second)).toEqual(["3: failover 0 1 0", "4: failover 0 1 0"]);
    expectOnePrimary(second);
  });

  it("during the command, when that had done its work, leaves only its name to be published", () => {
    const first = until((story) => story.request("detach", [0]).commit());
    const second = successorOf(first).commit().answer(1).commit();
    expect(runs(first, second)).toEqual(["3: failover 0 1 0"]);
    expectOnePrimary(second);
  });

  it("after the command, before its end is on record, leaves the question whether it worked", () => {
    const first = until((story) => {
      story.recordsAtOnce = false;
      story.request("detach", [0]).commit().finish();
    });
    const second = successorOf(first).commit().answer(1).commit();
    expect(runs(first, second)).toEqual(["3: failover 0 1 0"]);
    expectOnePrimary(second);
  });

  it("after the command, whose end is on record, leaves nothing to be run again", () => {
    const first = until((story) => story.request("detach", [0]).commit().finish().answer(null));
    const second = successorOf(first).commit().answer(null);
    // The promotion takes its time, as it may: the command has said that it was ordered.
    second.wait(1000).answer(null).wait(1000).answer(1).commit();
    expect(runs(first, second)).toEqual(["3: failover 0 1 0"]);
    expectOnePrimary(second);
    const entry = second.committed?.history.at(-1);
    expect(entry?.commands).toMatchObject([{ epoch: 3, exitCode: 0 }]);
    expect(entry?.steps.map(({ name }) => name)).toContain("taken over by another leader");
  });

  it("before the new primary is published leaves that to the next", () => {
    const first = until((story) => story.request("detach", [0]).commit().finish().answer(1));
    expect(first.proposal?.state.primaryId).toBe(1);
    const second = successorOf(first).commit().answer(1).commit();
    expect(runs(first, second)).toEqual(["3: failover 0 1 0"]);
    expectOnePrimary(second);
  });

  it("when the new primary was published leaves nothing", () => {
    const first = until((story) =>
      story.request("detach", [0]).commit().finish().answer(1).commit(),
    );
    const second = successorOf(first);
    expect([second.proposal, second.search]).toEqual([null, null]);
    expect(runs(first, second)).toEqual(["3: failover 0 1 0"]);
    expectOnePrimary(second);
  });
});
