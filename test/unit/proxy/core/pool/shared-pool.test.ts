import { describe, expect, test } from "vitest";
import {
  LaneWait,
  SharedPool,
  type Lane,
  type SharedPoolSizes,
} from "../../../../../src/proxy/core/pool/index.ts";

/** A pool whose port writes down what it is asked; connections are numbered. */
class World {
  readonly pool: SharedPool<string, string>;
  readonly #opening: [Lane<string, string>, LaneWait<string, string>][] = [];
  /** Which connections others wait for. */
  owes: "none" | "idle" | "all" = "none";
  /** What is to be opened only asks whether it may be. */
  isAsking = false;
  #count = 0;
  #lines: string[] = [];

  constructor(sizes: Partial<SharedPoolSizes> = {}) {
    const none = { laneMax: 2, lifeTimeMs: 0 };
    this.pool = new SharedPool(
      { ...none, ...sizes },
      {
        open: (lane, wait) => {
          this.#lines.push(`open for ${wait.owner}`);
          this.#opening.push([lane, wait]);
        },
        close: (connection) => this.#lines.push(`close ${connection}`),
        granted: (wait, connection) => this.#lines.push(`${wait.owner} gets ${connection}`),
        isOwed: (_lane, isAwaited) => this.owes === "all" || (this.owes === "idle" && !isAwaited),
        surplus: (lane) => {
          const at = this.#opening.findLastIndex(([of]) => of === lane);
          const [[, wait] = []] = this.isAsking ? this.#opening.splice(at, 1) : [];
          if (wait === undefined) return;
          this.#lines.push(`not for ${wait.owner}`);
          this.pool.openFailed(lane, wait);
        },
      },
    );
  }

  lane(user = "u", database = "d", backendId = 0): Lane<string, string> {
    const key = `${backendId} ${user} ${database}`;
    return this.pool.enterLane({ backendId, user, database, key });
  }

  wait(lane: Lane<string, string>, owner: string, nowMs = 0): LaneWait<string, string> {
    const wait = new LaneWait<string, string>(owner);
    this.pool.wait(lane, wait, nowMs);
    return wait;
  }

  /** What was opened first is there. */
  opened(): void {
    const [lane, wait] = this.#opening.shift() ?? [];
    if (lane === undefined || wait === undefined) throw new Error("nothing is being opened");
    this.#count += 1;
    this.pool.opened(lane, wait, `c${this.#count}`);
  }

  failed(): void {
    const [lane, wait] = this.#opening.shift() ?? [];
    if (lane === undefined || wait === undefined) throw new Error("nothing is being opened");
    this.pool.leave(wait);
    this.pool.openFailed(lane, wait);
  }

  story(): string {
    const lines = this.#lines.join("\n");
    this.#lines = [];
    return lines;
  }
}

describe("a pool of shared connections", () => {
  test("opens while there is room, then lets wait, first in, first out", () => {
    const world = new World();
    const lane = world.lane();
    for (const owner of ["a", "b", "c", "d"]) world.wait(lane, owner);
    expect(world.story()).toBe("open for a\nopen for b");
    world.opened();
    world.opened();
    expect(world.story()).toBe("a gets c1\nb gets c2");
    world.pool.give(lane, "c2");
    world.pool.give(lane, "c1");
    expect(world.story()).toBe("c gets c2\nd gets c1");
    world.pool.give(lane, "c2");
    expect(world.pool.take(lane)).toBe("c2");
    expect(world.pool.take(lane)).toBeNull();
  });

  test("lets nobody overtake who waits", () => {
    const world = new World({ laneMax: 1 });
    const lane = world.lane();
    world.wait(lane, "a");
    expect(world.pool.take(lane)).toBeNull();
    world.opened();
    expect(world.story()).toBe("open for a\na gets c1");
  });

  test("gives a connection that was opened for one who left to the next, else keeps it", () => {
    const world = new World({ laneMax: 1 });
    const lane = world.lane();
    const first = world.wait(lane, "a");
    world.wait(lane, "b");
    expect(world.pool.leave(first)).toBe(true);
    expect(world.pool.leave(first)).toBe(false);
    world.opened();
    expect(world.story()).toBe("open for a\nb gets c1");
  });

  test("opens for the next when one could not be opened", () => {
    const world = new World({ laneMax: 1 });
    const lane = world.lane();
    world.wait(lane, "a");
    world.wait(lane, "b");
    world.failed();
    expect(world.story()).toBe("open for a\nopen for b");
    world.failed();
    expect(world.story()).toBe("");
    expect(lane.count).toBe(0);
  });

  test("closes what others wait for, and opens anew for those who waited for it", () => {
    const world = new World({ laneMax: 1 });
    world.pool.isScarce = true;
    const lane = world.lane();
    world.wait(lane, "a");
    world.opened();
    world.wait(lane, "b");
    world.owes = "idle";
    world.pool.give(lane, "c1");
    expect(world.story()).toBe("open for a\na gets c1\nb gets c1");
    world.pool.give(lane, "c1");
    expect(world.story()).toBe("close c1");
    world.wait(lane, "c");
    world.owes = "all";
    world.opened(); // It was granted for c, and is not owed before c has had it.
    world.wait(lane, "d");
    world.pool.give(lane, "c2");
    expect(world.story()).toBe("open for c\nc gets c2\nclose c2\nopen for d");
  });

  test("asks for no more connections than are waited for", () => {
    const world = new World({ laneMax: 3 });
    const lane = world.lane();
    world.wait(lane, "a");
    world.opened();
    world.isAsking = true;
    world.wait(lane, "b");
    const third = world.wait(lane, "c");
    world.pool.give(lane, "c1");
    expect(world.story()).toBe(
      "open for a\na gets c1\nopen for b\nopen for c\nnot for c\nb gets c1",
    );
    world.pool.leave(third);
    expect(world.story()).toBe("not for b");
    expect([lane.opening, lane.count]).toEqual([0, 1]);
  });

  test("gives up idle connections of the kinds that others want, the oldest first", () => {
    const world = new World();
    const lanes = [world.lane("u", "x"), world.lane("u", "y"), world.lane("v", "x")];
    for (const [at, lane] of lanes.entries()) {
      world.wait(lane, "a");
      world.opened();
      world.pool.expire(100 - at);
      world.pool.give(lane, `c${at + 1}`);
    }
    world.story();
    const ofUser = ({ user }: { user: string }): boolean => user === "u";
    expect(world.pool.giveUpIdle(ofUser, 98)).toBe(false); // It is c3 that is idle for so long.
    expect(world.pool.giveUpIdle(ofUser, 99)).toBe(true);
    expect(world.pool.giveUpIdle(ofUser, 100)).toBe(true);
    expect(world.pool.giveUpIdle(ofUser, 100)).toBe(false);
    expect(world.story()).toBe("close c2\nclose c1");
    expect(world.pool.count(0)).toBe(1);
  });

  test("closes what was idle too long, the oldest first", () => {
    const world = new World({ lifeTimeMs: 100 });
    const lane = world.lane();
    world.wait(lane, "a");
    world.wait(lane, "b");
    world.opened();
    world.opened();
    world.pool.expire(1000);
    world.pool.give(lane, "c1");
    world.pool.expire(1050);
    world.pool.give(lane, "c2");
    world.story();
    world.pool.expire(1101);
    expect(world.story()).toBe("close c1");
    world.pool.expire(1151);
    expect(world.story()).toBe("close c2");
  });

  test("knows who has waited too long", () => {
    const world = new World({ laneMax: 1 });
    const lane = world.lane();
    world.wait(lane, "a", 10);
    world.wait(lane, "b", 20);
    world.wait(lane, "c", 30);
    expect(world.pool.oldestSinceMs).toBe(10);
    expect(world.pool.waitingSince(20).map((wait) => wait.owner)).toEqual(["a", "b"]);
  });

  test("forgets kinds that nobody uses", () => {
    const world = new World();
    const lane = world.lane();
    world.wait(lane, "a");
    world.opened();
    world.pool.leaveLane(lane);
    expect([...world.pool.lanes]).toHaveLength(1);
    world.pool.closed(lane);
    expect([...world.pool.lanes]).toHaveLength(0);
  });

  test("gives nobody a connection of a paused backend, and all who waited when it goes on", () => {
    const world = new World();
    const lane = world.lane();
    world.wait(lane, "a");
    world.opened();
    world.pool.pause(0);
    world.wait(lane, "b");
    expect(world.pool.count(0)).toBe(1);
    expect(world.pool.waitingFor(0).map(({ owner }) => owner)).toEqual(["b"]);
    expect(world.pool.waitingFor(1)).toEqual([]);
    world.pool.give(lane, "c1");
    expect(world.pool.take(lane)).toBeNull();
    expect(world.story()).toBe("open for a\na gets c1");
    world.wait(lane, "c");
    world.pool.resume(0);
    expect(world.story()).toBe("b gets c1\nopen for c");
  });

  test("keeps nothing of a backend that was dropped", () => {
    const world = new World();
    const lane = world.lane();
    world.wait(lane, "a");
    world.opened();
    world.pool.give(lane, "c1");
    const before = lane.generation;
    world.story();
    world.pool.dropBackend(0);
    expect(world.story()).toBe("close c1");
    expect(lane.generation).toBe(before + 1);
  });
});
