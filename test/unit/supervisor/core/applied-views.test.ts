import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ForwardingGate } from "../../../../src/proxy/core/routing/index.ts";
import {
  appliedViews,
  NOTHING_APPLIED,
  type AppliedViewsAction,
  type AppliedViewsEvent,
  type AppliedViewsState,
} from "../../../../src/supervisor/core/applied-views.ts";

class Story {
  state: AppliedViewsState = NOTHING_APPLIED;
  nowMs = 0;

  /** What it leads to, in words. */
  at(nowMs: number, ...events: readonly AppliedViewsEvent[]): readonly string[] {
    this.nowMs = nowMs;
    return events.flatMap((event) => {
      const { state, actions } = appliedViews.step(this.state, event, nowMs);
      this.state = state;
      return actions.map(words);
    });
  }
}

function words(action: AppliedViewsAction): string {
  return action.type === "tell-applied"
    ? `applied ${action.index}`
    : `lease of ${action.id} to ${action.untilMs}`;
}

const committed = (index: number): AppliedViewsEvent => ({ type: "committed", index });
const confirmed = (untilMs: number): AppliedViewsEvent => ({ type: "confirmed", untilMs });
const joined = (id: number): AppliedViewsEvent => ({ type: "worker-joined", id });
const applied = (id: number, index: number): AppliedViewsEvent => ({
  type: "worker-applied",
  id,
  index,
});

/** Two workers that route by index 1 until 1000. */
function running(): Story {
  const story = new Story();
  story.at(0, joined(1), joined(2), committed(1), applied(1, 1), applied(2, 1), confirmed(1000));
  return story;
}

describe("the views that this node's workers have applied", () => {
  it("tells the watchdog when all workers have the newest one, once", () => {
    const story = running();
    expect(story.at(10, committed(2), applied(1, 2))).toEqual([]);
    expect(story.at(11, applied(2, 2))).toEqual(["applied 2"]);
    expect(story.at(12, applied(2, 2), { type: "tick" })).toEqual([]);
  });

  it("does not speak for frozen workers of the supervisor before it until these have no lease", () => {
    const story = new Story();
    story.state = { ...NOTHING_APPLIED, silentUntilMs: 600 };
    expect(story.at(10, committed(2), joined(1), applied(1, 2))).toEqual([]);
    expect(appliedViews.wakeAtMs(story.state)).toBe(600);
    expect(story.at(600, { type: "tick" })).toEqual(["applied 2"]);
  });

  it("gives a lease to those alone that have the newest one", () => {
    const story = running();
    story.at(10, committed(2), applied(1, 2));
    expect(story.at(20, confirmed(1100))).toEqual(["lease of 1 to 1100"]);
    expect(story.at(30, applied(2, 2))).toEqual(["lease of 2 to 1100", "applied 2"]);
  });

  it("waits for a worker that does not answer until its lease is over", () => {
    const story = running();
    story.at(10, committed(2), applied(1, 2), confirmed(1500));
    expect(appliedViews.wakeAtMs(story.state)).toBe(1000);
    expect(story.at(999, { type: "tick" })).toEqual([]);
    expect(story.at(1000, { type: "tick" })).toEqual(["applied 2"]);
    expect(appliedViews.wakeAtMs(story.state)).toBeNull();
    // It gets no lease before it has answered.
    expect(story.at(1100, confirmed(1600))).toEqual(["lease of 1 to 1600"]);
    expect(story.at(1200, applied(2, 2))).toEqual(["lease of 2 to 1600"]);
  });

  it("waits for nobody who has ended, nor for a worker that never had a lease", () => {
    const story = running();
    story.at(10, committed(2), applied(1, 2), joined(3));
    expect(story.at(20, { type: "worker-left", id: 2 })).toEqual(["applied 2"]);
    expect(story.at(30, applied(3, 2))).toEqual(["lease of 3 to 1000"]);
  });

  it("says nothing while a command that was killed has not ended", () => {
    const story = running();
    story.at(10, { type: "command-ending", isEnding: true }, committed(2));
    expect(story.at(11, applied(1, 2), applied(2, 2), confirmed(1100))).toEqual([
      "lease of 1 to 1100",
      "lease of 2 to 1100",
    ]);
    expect(story.at(12, { type: "command-ending", isEnding: false })).toEqual(["applied 2"]);
  });

  it("says nothing of a state that was overtaken before all had it", () => {
    const story = running();
    story.at(10, committed(2), committed(3), applied(1, 2), applied(2, 2));
    expect(story.at(11, applied(1, 3), applied(2, 3))).toEqual(["applied 3"]);
  });

  it("tells a watchdog that was started again what it has forgotten", () => {
    const story = running();
    expect(story.at(10, { type: "watchdog-started" })).toEqual(["applied 1"]);
    expect(story.at(20, committed(2), { type: "watchdog-started" })).toEqual([]);
    expect(story.at(30, applied(1, 2), applied(2, 2))).toEqual(["applied 2"]);
  });
});

// Messages to and from each worker wait in its own queue, as long as the schedule likes.
type Move =
  | { readonly do: "commit" | "confirm" }
  | { readonly do: "take" | "answer" | "restart"; readonly worker: number }
  | { readonly do: "pass"; readonly ms: number };

interface Worker {
  gate: ForwardingGate;
  index: number;
  inbox: ({ readonly view: number } | { readonly lease: number })[];
  answers: number[];
}

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("commit" as const, "confirm" as const) }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constantFrom("take" as const, "answer" as const),
      worker: fc.integer({ min: 0, max: 2 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("restart" as const),
      worker: fc.integer({ min: 0, max: 2 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.nat(150) }) },
);

class NodeOfWorkers {
  readonly workers: Worker[] = [];
  state = NOTHING_APPLIED;
  nowMs = 0;
  index = 0;
  told = 0;
  forwards = 0;

  constructor() {
    for (const id of [0, 1, 2]) this.restart(id);
  }

  play(move: Move): void {
    switch (move.do) {
      case "commit":
        this.index += 1;
        for (const worker of this.workers) worker.inbox.push({ view: this.index });
        return this.feed({ type: "committed", index: this.index });
      case "confirm":
        return this.feed({ type: "confirmed", untilMs: this.nowMs + 300 });
      case "take":
        return this.take(this.at(move.worker));
      case "answer": {
        const index = this.at(move.worker).answers.shift();
        if (index === undefined) return undefined;
        return this.feed({ type: "worker-applied", id: move.worker, index });
      }
      case "restart":
        return this.restart(move.worker);
      case "pass":
        this.nowMs += move.ms;
        return this.feed({ type: "tick" });
    }
  }

  at(id: number): Worker {
    const worker = this.workers[id];
    if (worker === undefined) throw new Error("no such worker");
    return worker;
  }

  restart(id: number): void {
    const gate = new ForwardingGate({ withoutLeaseMs: 1, withoutPrimaryMs: 1 }, this.nowMs);
    this.workers[id] = { gate, index: -1, inbox: [{ view: this.index }], answers: [] };
    this.feed({ type: "worker-left", id });
    this.feed({ type: "worker-joined", id });
  }

  take(worker: Worker): void {
    const message = worker.inbox.shift();
    if (message === undefined) return;
    if ("lease" in message) worker.gate.leaseTaken(message.lease);
    else {
      worker.index = message.view;
      worker.answers.push(message.view);
    }
  }

  feed(event: AppliedViewsEvent): void {
    const { state, actions } = appliedViews.step(this.state, event, this.nowMs);
    this.state = state;
    for (const action of actions) {
      if (action.type === "tell-applied") this.told = action.index;
      else this.at(action.id).inbox.push({ lease: action.untilMs });
    }
    for (const worker of this.workers) {
      if (!worker.gate.isOpen(this.nowMs)) continue;
      this.forwards += 1;
      expect(worker.index, "no worker forwards by an older view").toBeGreaterThanOrEqual(this.told);
    }
  }
}

describe("the workers of one node", () => {
  it("never forward by a view that is older than what the watchdog was told", () => {
    let forwards = 0;
    fc.assert(
      fc.property(fc.array(move, { minLength: 50, maxLength: 150 }), (moves) => {
        const node = new NodeOfWorkers();
        for (const one of moves) node.play(one);
        forwards += node.forwards;
      }),
      { numRuns: 500, seed: 3 },
    );
    expect(forwards).toBeGreaterThan(1000);
  });
});
