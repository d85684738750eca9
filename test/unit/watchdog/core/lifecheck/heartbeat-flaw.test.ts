import { describe, expect, it } from "vitest";
import {
  heartbeatFlaw,
  startLifecheck,
  stepLifecheck,
  type LifecheckState,
} from "../../../../../src/watchdog/core/lifecheck/index.ts";

const NOW = "ab".repeat(16);
const EARLIER = "cd".repeat(16);
const RULES = { method: "heartbeat", deadMs: 3000, lifePoints: 3 } as const;

/** Node 1 is connected and its heartbeat number 7 came at 100 ms. */
function heard(): LifecheckState {
  const connected = stepLifecheck(
    startLifecheck([1, 2], RULES),
    { type: "connected", id: 1, bootId: NOW },
    0,
  );
  const heartbeat = { nodeId: 1, bootId: NOW, counter: 7 };
  return stepLifecheck(connected, { type: "heartbeat", heartbeat }, 100);
}

describe("a heartbeat whose keyed hash fits", () => {
  it.each([
    ["is newer", { nodeId: 1, bootId: NOW, counter: 8 }, 200],
    ["came by two addresses", { nodeId: 1, bootId: NOW, counter: 7 }, 110],
    ["is of a node that has not proved itself yet", { nodeId: 2, bootId: NOW, counter: 1 }, 200],
  ])("has no flaw when it %s", (_what, heartbeat, nowMs) => {
    expect(heartbeatFlaw(heard(), heartbeat, nowMs)).toBeNull();
  });

  it("has no flaw when its node starts anew and is not connected yet", () => {
    const gone = stepLifecheck(heard(), { type: "disconnected", id: 1 }, 200);
    expect(heartbeatFlaw(gone, { nodeId: 1, bootId: EARLIER, counter: 1 }, 300)).toBeNull();
  });

  it.each([
    ["is older than the last", { nodeId: 1, bootId: NOW, counter: 6 }, 110, /overtaken by 7/],
    ["is the last once more, later", { nodeId: 1, bootId: NOW, counter: 7 }, 1200, /overtaken/],
    ["is of another start", { nodeId: 1, bootId: EARLIER, counter: 99 }, 200, /another start/],
    ["is this node's own", { nodeId: 0, bootId: NOW, counter: 99 }, 200, /reflected/],
  ])("is told and changes nothing when it %s", (_what, heartbeat, nowMs, words) => {
    const state = heard();
    expect(heartbeatFlaw(state, heartbeat, nowMs)).toMatch(words);
    expect(stepLifecheck(state, { type: "heartbeat", heartbeat }, nowMs)).toBe(state);
  });
});
