import { describe, expect, it } from "vitest";
import {
  conductor,
  decodeClusterState,
  QUARANTINE_MS,
  QUARANTINES_MAX,
} from "../../../../../src/backend/index.ts";
import { ClusterStory, makeRequest } from "./cluster-story.ts";

function told(
  story: ClusterStory,
  kind: "quarantine" | "release",
  nodeId: number,
  backendId: number,
): ClusterStory {
  const request = makeRequest(kind, [backendId], { confirmed: true, reason: "no answer" });
  const votes = [{ nodeId, agoMs: 0, reason: "no answer" }];
  return story.deliver({ type: "granted", request, wallMs: story.nowMs, votes });
}

function known(story: ClusterStory): string {
  const all = story.committed?.quarantines ?? [];
  return all.map((one) => `${one.nodeId}:${one.backendId} ${one.since}-${one.expiresAt}`).join(" ");
}

describe("the quarantines of single nodes", () => {
  it("are known to all until the node takes them back, and stand in the history", () => {
    const story = new ClusterStory().settle();
    told(story, "quarantine", 2, 1).commit();
    expect(known(story)).toBe(`2:1 0-${QUARANTINE_MS}`);
    expect(story.committed?.history.at(-1)).toMatchObject({
      kind: "quarantine",
      backendIds: [1],
      by: "watchdog node 2",
    });
    story.wait(20_000);
    told(story, "quarantine", 2, 1).commit();
    expect(known(story)).toBe(`2:1 0-${20_000 + QUARANTINE_MS}`);
    expect(story.committed?.history.filter(({ kind }) => kind === "quarantine")).toHaveLength(1);
    told(story, "release", 2, 1).commit();
    expect(known(story)).toBe("");
    expect(decodeClusterState(story.committed)).toMatchObject({ ok: true });
  });

  it("expire when the node says nothing more", () => {
    const story = new ClusterStory().settle();
    told(story, "quarantine", 2, 1).commit();
    expect(conductor.wakeAtMs(story.state)).toBe(QUARANTINE_MS);
    story.wait(QUARANTINE_MS).commit();
    expect(known(story)).toBe("");
  });

  it("are over when all give the backend up, and wait while something is done to one", () => {
    const story = new ClusterStory().settle();
    told(story, "quarantine", 2, 1).commit();
    story.request("detach", [1]).commit();
    told(story, "quarantine", 2, 1);
    told(story, "quarantine", 0, 2);
    expect(story.proposal).toBeNull();
    story.finish().commit();
    story.commit();
    expect(known(story)).toMatch(/^0:2 /u);
  });

  it("that come in while others are proposed are proposed next", () => {
    const story = new ClusterStory().settle();
    told(story, "quarantine", 2, 1);
    told(story, "quarantine", 0, 2);
    story.commit().commit();
    expect(known(story)).toMatch(/^2:1 \S+ 0:2 \S+$/u);
    told(story, "quarantine", 0, 2);
    told(story, "release", 0, 2);
    story.commit().commit();
    expect(known(story)).toMatch(/^2:1 \S+$/u);
  });

  it("are not taken from nobody, nor by a node that does not lead", () => {
    const story = new ClusterStory().settle();
    const request = makeRequest("quarantine", [1], { confirmed: true });
    story.deliver({ type: "granted", request, wallMs: 0 });
    told(story.lead(false), "quarantine", 2, 1);
    expect(story.proposal).toBeNull();
  });

  it("are bounded", () => {
    const story = new ClusterStory().settle();
    for (let nodeId = 0; nodeId < 2 * QUARANTINES_MAX; nodeId += 1) {
      told(story, "quarantine", nodeId, 1);
    }
    while (story.proposal !== null) story.commit();
    expect(story.committed?.quarantines).toHaveLength(QUARANTINES_MAX);
  });
});
