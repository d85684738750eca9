import { describe, expect, test } from "vitest";
import {
  backendPauses,
  NO_PAUSES,
  runningOf,
  type BackendPausesEvent,
  type BackendPausesState,
} from "../../../../src/supervisor/core/backend-pauses.ts";

/** Two workers; a line for each action. */
class World {
  state: BackendPausesState = NO_PAUSES;
  nowMs = 0;

  constructor() {
    this.at({ type: "worker-joined", id: 1 });
    this.at({ type: "worker-joined", id: 2 });
  }

  at(event: BackendPausesEvent): string {
    const { state, actions } = backendPauses.step(this.state, event, this.nowMs);
    this.state = state;
    return actions
      .map((action) => {
        if (action.type !== "tell") {
          return `${action.type} ${action.pause.backendId}${"why" in action ? ` ${action.why}` : ""}`;
        }
        const { message } = action;
        const of = "backendId" in message ? message.backendId : "";
        return `${message.type} ${of} to ${action.id}`;
      })
      .join(", ");
  }

  pause(forMs = 1000): string {
    return this.at({ type: "pause", backendId: 0, by: "a test", forMs });
  }

  told(id: number, running: number, round = 1): string {
    return this.at({ type: "told", id, backendId: 0, round, running });
  }

  get running(): number {
    return this.state.pauses.reduce((sum, pause) => sum + runningOf(pause), 0);
  }
}

describe("a pause", () => {
  test("is drained when the last worker has said that nothing runs, and told so once", () => {
    const world = new World();
    expect(world.pause()).toBe("pause-backend 0 to 1, pause-backend 0 to 2");
    expect(world.told(1, 2)).toBe("");
    expect(world.told(2, 0)).toBe("");
    expect(world.running).toBe(2);
    expect(world.told(1, 1)).toBe("");
    world.nowMs = 70;
    expect(world.told(1, 0)).toBe("drained 0");
    expect(world.state.pauses[0]?.drainedMs).toBe(70);
    expect(world.told(2, 0)).toBe("");
    expect(world.at({ type: "resume", backendId: 0 })).toBe(
      "resume-backend 0 to 1, resume-backend 0 to 2, resumed 0 asked",
    );
    expect(world.at({ type: "resume", backendId: 0 })).toBe("");
  });

  test("is over when its time is, and no later than that is looked at again", () => {
    const world = new World();
    expect(backendPauses.wakeAtMs(world.state)).toBeNull();
    world.pause(1000);
    expect(backendPauses.wakeAtMs(world.state)).toBe(1000);
    world.nowMs = 999;
    expect(world.at({ type: "tick" })).toBe("");
    world.nowMs = 1000;
    expect(world.at({ type: "tick" })).toBe(
      "resume-backend 0 to 1, resume-backend 0 to 2, resumed 0 time",
    );
    expect(backendPauses.wakeAtMs(world.state)).toBeNull();
  });

  test("asked for again goes on for longer, and workers are not told twice", () => {
    const world = new World();
    world.pause(1000);
    world.nowMs = 500;
    expect(world.pause(1000)).toBe("");
    expect(backendPauses.wakeAtMs(world.state)).toBe(1500);
    expect(world.state.pauses).toHaveLength(1);
  });

  test("holds for a worker that starts meanwhile, and does not wait for one that has ended", () => {
    const world = new World();
    world.pause();
    world.told(1, 0);
    expect(world.at({ type: "worker-left", id: 2 })).toBe("drained 0");
    expect(world.at({ type: "worker-joined", id: 2 })).toBe("pause-backend 0 to 2");
    world.at({ type: "resume", backendId: 0 });
    expect(world.at({ type: "worker-joined", id: 3 })).toBe("");
  });

  test("is not taken for drained by a word about the pause before", () => {
    const world = new World();
    world.pause();
    world.at({ type: "resume", backendId: 0 });
    world.pause();
    expect(world.told(1, 0, 1)).toBe("");
    expect(world.told(2, 0, 1)).toBe("");
    expect(world.told(1, 0, 2)).toBe("");
    expect(world.told(2, 0, 2)).toBe("drained 0");
  });
});
