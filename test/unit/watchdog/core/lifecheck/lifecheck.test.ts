import { describe, expect, it } from "vitest";
import {
  startLifecheck,
  stepLifecheck,
  type LifecheckEvent,
  type LifecheckRules,
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

const HEARTBEAT: LifecheckRules = { method: "heartbeat", deadMs: 1000, lifePoints: 3 };
const QUERY: LifecheckRules = { ...HEARTBEAT, method: "query" };
const EXTERNAL: LifecheckRules = { ...HEARTBEAT, method: "external" };

/** Lives of node 1 after each event; deadtime 1 s. */
function livesOf(
  events: readonly (readonly [atMs: number, event: LifecheckEvent])[],
  rules: LifecheckRules,
): PeerLife[] {
  let state = startLifecheck([1, 2], rules);
  return events.map(([atMs, event]) => {
    state = stepLifecheck(state, event, atMs);
    expect(state.peers[1]?.life, "nothing of this is about node 2").toBe("never-seen");
    return state.peers[0]?.life ?? "never-seen";
  });
}

type Told = readonly [string, (readonly [number, LifecheckEvent, PeerLife])[]];

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

const answered: LifecheckEvent = { type: "proxy-asked", id: 1, isAnswered: true };
const unanswered: LifecheckEvent = { type: "proxy-asked", id: 1, isAnswered: false };
const dead: LifecheckEvent = { type: "reported", id: 1, isAlive: false };
const living: LifecheckEvent = { type: "reported", id: 1, isAlive: true };

const QUERY_STORIES: Told[] = [
  [
    "a proxy that fails as often as wd_life_point in a row is lost, and alive again once it answers",
    [
      [0, connected, "alive"],
      [1000, unanswered, "alive"],
      [2000, unanswered, "alive"],
      [3000, answered, "alive"],
      [4000, unanswered, "alive"],
      [5000, unanswered, "alive"],
      [6000, unanswered, "lost"],
      [7000, unanswered, "lost"],
      [8000, answered, "alive"],
    ],
  ],
  [
    "silence of heartbeats says nothing",
    [
      [0, connected, "alive"],
      [99_000, tick, "alive"],
    ],
  ],
  [
    "a node that never came is not lost for not answering, and need not have been seen",
    [
      [0, unanswered, "never-seen"],
      [1, unanswered, "never-seen"],
      [2, unanswered, "never-seen"],
      [3, connected, "alive"],
    ],
  ],
];

const EXTERNAL_STORIES: Told[] = [
  [
    "neither silence nor a proxy that fails says anything",
    [
      [0, connected, "alive"],
      [1, unanswered, "alive"],
      [2, unanswered, "alive"],
      [3, unanswered, "alive"],
      [99_000, tick, "alive"],
    ],
  ],
  [
    "a node reported dead stays lost though it is connected and beats, until it is reported alive",
    [
      [0, connected, "alive"],
      [1, dead, "lost"],
      [2, beat(9), "lost"],
      [3, disconnected, "lost"],
      [4, connected, "lost"],
      [5, living, "alive"],
    ],
  ],
  [
    "a new start wipes out what was reported of the one before",
    [
      [0, connected, "alive"],
      [1, dead, "lost"],
      [2, disconnected, "lost"],
      [3, { type: "connected", id: 1, bootId: OTHER_BOOT }, "alive"],
    ],
  ],
  [
    "a node that never came can be reported dead, and taken back",
    [
      [0, dead, "lost"],
      [1, living, "never-seen"],
    ],
  ],
  [
    "a report that a node lives does not bring back one that is not connected",
    [
      [0, connected, "alive"],
      [1, disconnected, "lost"],
      [2, living, "lost"],
    ],
  ],
];

/** Why node 1 is lost after the events, at one moment. */
function reasonAfter(...events: readonly LifecheckEvent[]): string {
  let state = startLifecheck([1], QUERY);
  for (const event of events) state = stepLifecheck(state, event, 0);
  return state.peers[0]?.lostReason ?? "none";
}

describe("lifecheck", () => {
  it.each([
    ...STORIES.map((story) => [HEARTBEAT, ...story] as const),
    ...QUERY_STORIES.map((story) => [QUERY, ...story] as const),
    ...EXTERNAL_STORIES.map((story) => [EXTERNAL, ...story] as const),
  ])("by $method: %s", (rules, _what, story) => {
    const events = story.map(([atMs, event]) => [atMs, event] as const);
    expect(livesOf(events, rules)).toEqual(story.map(([, , life]) => life));
  });

  it("says in Pgpool-II's words why a node is lost", () => {
    expect(reasonAfter()).toBe("");
    expect(reasonAfter(connected)).toBe("");
    expect(reasonAfter(connected, disconnected)).toBe("NOT REACHABLE");
    expect(reasonAfter(connected, { ...disconnected, isTimeout: true })).toBe("RECEIVE TIMEOUT");
    expect(reasonAfter(connected, dead)).toBe("REPORTED BY LIFECHECK");
    expect(reasonAfter(connected, unanswered, unanswered, unanswered)).toBe(
      "REPORTED BY LIFECHECK",
    );
    expect(reasonAfter(connected, left)).toBe("SHUTDOWN");
  });

  it("takes a pause of its own for nobody's silence", () => {
    let state = startLifecheck([1], HEARTBEAT);
    state = stepLifecheck(state, connected, 0);
    state = stepLifecheck(state, tick, 100);
    state = stepLifecheck(state, tick, 60_000);
    expect(state.peers[0]?.life).toBe("alive");
    for (let atMs = 60_100; atMs <= 60_900; atMs += 100) state = stepLifecheck(state, tick, atMs);
    expect(state.peers[0]?.life).toBe("alive");
    state = stepLifecheck(state, tick, 61_001);
    expect(state.peers[0]?.life).toBe("lost");
  });

  it("keeps its peers as they are when nothing changed", () => {
    const state = stepLifecheck(startLifecheck([1, 2], HEARTBEAT), connected, 0);
    expect(stepLifecheck(state, tick, 500).peers).toBe(state.peers);
    expect(stepLifecheck(state, beat(1, OTHER_BOOT), 500)).toBe(state);
  });
});
