import { describe, expect, it } from "vitest";
import {
  startLifecheck,
  stepLifecheck,
  type LifecheckEvent,
  type PeerLife,
} from "../../../../../src/watchdog/core/lifecheck/index.ts";

const BOOT = "ab".repeat(16);
const OTHER_BOOT = "cd".repeat(16);
const connected: LifecheckEvent = { type: "connected", id: 1, bootId: BOOT };
const disconnected: LifecheckEvent = { type: "disconnected", id: 1 };
const left: LifecheckEvent = { type: "left", id: 1 };
const tick: LifecheckEvent = { type: "tick" };

function beat(counter: number, bootId = BOOT): LifecheckEvent {
  return { type: "heartbeat", heartbeat: { nodeId: 1, bootId, counter } };
}

/** Lives of node 1 after each event; deadtime 1 s. */
function livesOf(events: readonly (readonly [atMs: number, event: LifecheckEvent])[]): PeerLife[] {
  let state = startLifecheck([1, 2], 1000);
  return events.map(([atMs, event]) => {
    state = stepLifecheck(state, event, atMs);
    expect(state.peers[1]?.life, "nothing of this is about node 2").toBe("never-seen");
    return state.peers[0]?.life ?? "never-seen";
  });
}

type Told = [string, (readonly [number, LifecheckEvent, PeerLife])[]];

const STORIES: Told[] = [
  [
    "a node is not seen before it has proved itself, whatever its heartbeats say",
    [
      [0, beat(1), "never-seen"],
      [1, connected, "alive"],
    ],
  ],
  [
    "silence for longer than the deadtime is a loss, and a newer heartbeat ends it",
    [
      [0, connected, "alive"],
      [900, beat(5), "alive"],
      [1900, tick, "alive"],
      [1901, tick, "lost"],
      [2000, beat(6), "alive"],
    ],
  ],
  [
    "a replayed or older heartbeat is no sign of life",
    [
      [0, connected, "alive"],
      [500, beat(5), "alive"],
      [1400, beat(5), "alive"],
      [1450, beat(4), "alive"],
      [1501, tick, "lost"],
      [1502, beat(5), "lost"],
    ],
  ],
  [
    "a heartbeat of another start of the node is none of this one",
    [
      [0, connected, "alive"],
      [900, beat(9, OTHER_BOOT), "alive"],
      [1001, tick, "lost"],
      [1002, beat(10, OTHER_BOOT), "lost"],
    ],
  ],
  [
    "a restarted node counts from one again",
    [
      [0, connected, "alive"],
      [100, beat(50), "alive"],
      [200, disconnected, "lost"],
      [300, { type: "connected", id: 1, bootId: OTHER_BOOT }, "alive"],
      [1200, beat(1, OTHER_BOOT), "alive"],
      [1301, tick, "alive"],
    ],
  ],
  [
    "a second connection of the same start does not let old heartbeats in",
    [
      [0, connected, "alive"],
      [100, beat(50), "alive"],
      [200, connected, "alive"],
      [1100, beat(49), "alive"],
      [1201, tick, "lost"],
    ],
  ],
  [
    "a broken connection is a loss at once, and heartbeats alone do not revive",
    [
      [0, connected, "alive"],
      [100, disconnected, "lost"],
      [200, beat(7), "lost"],
      [300, connected, "alive"],
    ],
  ],
  [
    "a node that said goodbye is shut down, not lost",
    [
      [0, connected, "alive"],
      [100, left, "shut-down"],
      [110, disconnected, "shut-down"],
      [5000, tick, "shut-down"],
      [6000, connected, "alive"],
    ],
  ],
];

describe("lifecheck", () => {
  it.each(STORIES)("%s", (_what, story) => {
    expect(livesOf(story.map(([atMs, event]) => [atMs, event]))).toEqual(
      story.map(([, , life]) => life),
    );
  });

  it("gives the same state back when nothing changed", () => {
    const state = stepLifecheck(startLifecheck([1, 2], 1000), connected, 0);
    expect(stepLifecheck(state, tick, 500)).toBe(state);
    expect(stepLifecheck(state, beat(1, OTHER_BOOT), 500)).toBe(state);
  });
});
