import { describe, expect, it } from "vitest";
import {
  newQuarantine,
  quarantine,
  QUARANTINE_MS,
  quarantinedIds,
  type Disagreement,
  type QuarantineAction,
  type QuarantineEvent,
  type QuarantineState,
} from "../../../../../src/backend/index.ts";

const CHECK_MS = 6000;

/** One node's quarantines and a clock; backend 0 is the primary, node 1 leads, quorum is there. */
class QuarantineStory {
  state: QuarantineState;
  nowMs = 0;
  readonly lines: string[] = [];

  constructor(checkMs = CHECK_MS) {
    this.state = newQuarantine(
      new Map([
        [0, checkMs],
        [1, checkMs],
      ]),
    );
    this.deliver({ type: "agreed", liveIds: [0, 1], primaryId: 0 });
    this.watchdog(true, 1);
  }

  deliver(event: QuarantineEvent): this {
    const { state, actions } = quarantine.step(this.state, event, this.nowMs);
    this.state = state;
    for (const action of actions) this.lines.push(`${this.nowMs}: ${describeAction(action)}`);
    return this;
  }

  watchdog(hasQuorum: boolean, leaderId: number | null): this {
    return this.deliver({ type: "watchdog", hasQuorum, leaderId });
  }

  refuse(backendId: number, why: Disagreement, reason = "no answer"): this {
    return this.deliver({ type: "refused", backendId, why, reason, wallMs: this.nowMs });
  }

  at(nowMs: number): this {
    this.nowMs = nowMs;
    return this.deliver({ type: "tick" });
  }

  wake(): this {
    return this.at(quarantine.wakeAtMs(this.state) ?? this.nowMs);
  }

  get ids(): readonly number[] {
    return [...quarantinedIds(this.state)];
  }

  get text(): string {
    return `\n${this.lines.join("\n")}\n`;
  }
}

function describeAction(action: QuarantineAction): string {
  switch (action.type) {
    case "change-marks":
      return "marks";
    case "hurry":
      return `look at ${action.backendId}`;
    case "announce":
      return `ANNOUNCE ${action.mark.backendId} since ${action.mark.since}: ${action.mark.reason}`;
    case "withdraw":
      return `WITHDRAW ${action.backendId}`;
    case "change-fitness":
      return action.unfit === null ? "FIT" : `UNFIT: ${action.unfit}`;
    case "log":
      return ["LOG", action.message, action.detail].filter(Boolean).join(" | ");
  }
}

describe("the quarantine of a backend", () => {
  it("begins when the cluster still does not agree, is told to the leader, and ends when it answers", () => {
    const story = new QuarantineStory().refuse(1, "building-consensus");
    expect(story.ids).toEqual([]);
    story.at(1000).refuse(1, "consensus-may-fail");
    expect(story.ids).toEqual([1]);
    story.at(2000).deliver({ type: "answered", backendId: 1 });
    expect(story.ids).toEqual([]);
    expect(story.text).toMatchInlineSnapshot(`
      "
      0: LOG | failover request for backend node 1 noted | building consensus for request
      0: marks
      1000: LOG | degenerate backend request for node 1 is changed to quarantine node request by watchdog | consensus-may-fail
      1000: marks
      1000: ANNOUNCE 1 since 1000: no answer
      2000: LOG | backend node 1 answers again and leaves quarantine
      2000: marks
      2000: WITHDRAW 1
      "
    `);
  });

  it("begins at once without a quorum, and nobody is told", () => {
    const story = new QuarantineStory().watchdog(false, null).refuse(1, "no-quorum");
    expect(story.ids).toEqual([1]);
    story.deliver({ type: "answered", backendId: 1 });
    expect(story.text).toMatchInlineSnapshot(`
      "
      0: LOG | degenerate backend request for node 1 is changed to quarantine node request by watchdog | no-quorum
      0: marks
      0: LOG | backend node 1 answers again and leaves quarantine
      0: marks
      "
    `);
  });

  it("stays while the check goes on failing, and the leader is told now and then", () => {
    const story = new QuarantineStory().refuse(1, "consensus-may-fail");
    for (let nowMs = 1000; nowMs <= 90_000; nowMs += 1000) {
      story
        .at(nowMs)
        .refuse(1, nowMs % 20_000 < 2000 ? "building-consensus" : "consensus-may-fail");
    }
    expect(story.ids).toEqual([1]);
    const told = story.lines.filter((line) => line.includes("ANNOUNCE"));
    expect(told.map((line) => line.split(":")[0])).toEqual([
      "0",
      "20000",
      "40000",
      "60000",
      "80000",
    ]);
  });

  it("ends of itself when nobody looks at the backend any more", () => {
    const story = new QuarantineStory(0).refuse(1, "consensus-may-fail");
    story.at(QUARANTINE_MS - 1);
    expect(story.ids).toEqual([1]);
    story.at(QUARANTINE_MS);
    expect(story.ids).toEqual([]);
    expect(story.lines.slice(-3)).toMatchInlineSnapshot(`
      [
        "60000: LOG | backend node 1 is tried again: nobody has looked at it for a while",
        "60000: marks",
        "60000: WITHDRAW 1",
      ]
    `);
  });

  it("is asked anew when the quorum is back or another node leads, and stays until then", () => {
    const story = new QuarantineStory().watchdog(false, null).refuse(1, "no-quorum");
    story.watchdog(true, 2);
    expect(story.lines.at(-1)).toBe("0: look at 1");
    story.refuse(1, "building-consensus");
    expect(story.ids).toEqual([1]);
    expect(story.lines).toContain("0: ANNOUNCE 1 since 0: no answer");
    story.at(5000).watchdog(true, 0);
    expect(story.lines.slice(-2)).toEqual([
      "5000: look at 1",
      "5000: ANNOUNCE 1 since 0: no answer",
    ]);
    expect(story.ids).toEqual([1]);
  });

  it("ends with the quorum's return where nobody checks the backend", () => {
    const story = new QuarantineStory(0).watchdog(false, null).refuse(1, "no-quorum");
    story.watchdog(true, 1);
    expect(story.ids).toEqual([]);
  });

  it("ends when all hold the backend for lost", () => {
    const story = new QuarantineStory().refuse(1, "consensus-may-fail");
    story.deliver({ type: "agreed", liveIds: [0], primaryId: 0 });
    expect(story.ids).toEqual([]);
    expect(story.lines.at(-1)).toBe("0: marks");
  });

  it("keeps a node from leading that alone cannot reach the primary, when the others had their time", () => {
    const story = new QuarantineStory().refuse(0, "building-consensus");
    story.at(2000).refuse(0, "consensus-may-fail").wake();
    expect(story.nowMs).toBe(CHECK_MS);
    expect(story.lines.at(-1)).toBe("6000: UNFIT: it cannot reach the primary, backend node 0");
    story.at(8000).deliver({ type: "answered", backendId: 0 });
    expect(story.lines.at(-1)).toBe("8000: FIT");
  });

  it("does not keep a node from leading for a standby, or while nobody could decide", () => {
    const standby = new QuarantineStory().refuse(1, "consensus-may-fail").at(50_000);
    expect(standby.state.unfit).toBeNull();
    const alone = new QuarantineStory().watchdog(false, null).refuse(0, "no-quorum").at(50_000);
    expect(alone.state.unfit).toBeNull();
  });
});
