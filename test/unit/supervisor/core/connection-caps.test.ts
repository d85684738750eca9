import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  connectionCaps,
  newConnectionCaps,
  type ConnectionCaps,
  type ConnectionCapsState,
  type ConnectionCapsEvent,
} from "../../../../src/supervisor/core/connection-caps.ts";
import type { ConnectionKind } from "../../../../src/wire/ipc/index.ts";

const NONE = { backend: 0, database: 0, user: 0 };

function kindOf(text: string): ConnectionKind {
  const [user = "", database = ""] = text.split("@");
  return { backendId: 0, user, database };
}

/** Workers 1 and 2; a line for what they are told. */
class World {
  state: ConnectionCapsState;

  constructor(caps: Partial<ConnectionCaps>) {
    this.state = newConnectionCaps({ ...NONE, ...caps });
    this.at({ type: "worker-joined", id: 1 });
    this.at({ type: "worker-joined", id: 2 });
  }

  at(event: ConnectionCapsEvent): string[] {
    const { state, actions } = connectionCaps.step(this.state, event, 0);
    this.state = state;
    return actions.map(({ id, message }) => {
      switch (message.type) {
        case "connections-granted":
          return `${id} gets ${message.count} ${message.kind.user}@${message.kind.database}`;
        case "connections-scarce": {
          const rooms = message.rooms.map(
            ({ room, share, isOwed }) => `${room} ${isOwed ? share : "-"}`,
          );
          return `${id} scarce: ${rooms.join(", ")}`;
        }
      }
    });
  }

  wants(id: number, count: number, kind = "u@d"): string[] {
    const message = { type: "connections-wanted", kind: kindOf(kind), count } as const;
    return this.at({ type: "told", id, message });
  }

  closed(id: number, kind = "u@d"): string[] {
    const message = { type: "connection-closed", kind: kindOf(kind) } as const;
    return this.at({ type: "told", id, message });
  }
}

describe("bounded connections", () => {
  test("are granted while there is room, then whatever is idle or free goes to who waits", () => {
    const world = new World({ backend: 3 });
    expect(world.wants(1, 2)).toEqual(["1 gets 2 u@d"]);
    expect(world.wants(2, 2)).toEqual([
      "2 gets 1 u@d",
      "1 scarce: backend 0 -",
      "2 scarce: backend 0 -",
    ]);
    expect(world.closed(1)).toEqual(["2 gets 1 u@d", "1 scarce: ", "2 scarce: "]);
  });

  test("a worker that has more than its share gives to one that has less", () => {
    const world = new World({ user: 4 });
    world.wants(1, 4);
    expect(world.wants(2, 1)).toContain("1 scarce: backend 0 user u 2");
    world.wants(1, 3);
    // Worker 1 waited as well, and has more.
    expect(world.closed(1)).toContain("2 gets 1 u@d");
    world.wants(2, 1);
    expect(world.closed(1)).toContain("2 gets 1 u@d");
    // Both have two: neither owes the other anything.
    expect(world.wants(2, 1)).toEqual([]);
    expect(world.state.workers.map(({ scarce }) => scarce[0]?.isOwed)).toEqual([false, false]);
  });

  test("a single one goes from worker to worker when both want it", () => {
    const world = new World({ backend: 1 });
    world.wants(1, 5);
    expect(world.wants(2, 5)).toContain("1 scarce: backend 0 0");
    expect(world.closed(1)).toContain("2 gets 1 u@d");
    expect(world.state.workers.map(({ scarce }) => scarce[0]?.isOwed)).toEqual([false, true]);
    expect(world.closed(2)).toContain("1 gets 1 u@d");
  });

  test("databases and users are bounded apart, and who can be served is not held up by who cannot", () => {
    const world = new World({ database: 1, user: 2 });
    expect(world.wants(1, 2, "u@x")).toContain("1 gets 1 u@x");
    expect(world.wants(1, 1, "v@x")).not.toContain("1 gets 1 v@x");
    expect(world.wants(1, 1, "u@y")).toContain("1 gets 1 u@y");
    expect(world.wants(1, 1, "u@z")).not.toContain("1 gets 1 u@z");
    expect(world.closed(1, "u@y")).toContain("1 gets 1 u@z");
  });

  test("what a worker had is free when it has ended, and nobody listens to its last words", () => {
    const world = new World({ backend: 1 });
    world.wants(1, 1);
    world.wants(2, 1);
    expect(world.at({ type: "worker-left", id: 1 })).toContain("2 gets 1 u@d");
    expect(world.closed(1)).toEqual([]);
    expect(world.at({ type: "worker-joined", id: 1 })).toEqual([]);
    expect(world.wants(1, 1)).toContain("2 scarce: backend 0 0");
  });

  test("who does not wait any more gets nothing", () => {
    const world = new World({ backend: 1 });
    world.wants(1, 1);
    world.wants(2, 1);
    expect(world.wants(2, 0)).toEqual(["1 scarce: ", "2 scarce: "]);
    expect(world.closed(1)).toEqual([]);
  });

  test("whatever happens, no bound is passed, and nobody waits beside room for him", () => {
    const kinds = ["u@x", "u@y", "v@x"];
    const step = fc.tuple(fc.constantFrom("want", "close", "die"), fc.nat(1), fc.nat(2), fc.nat(4));
    const caps = fc.record({ backend: fc.nat(4), database: fc.nat(3), user: fc.nat(3) });
    fc.assert(
      fc.property(caps, fc.array(step, { maxLength: 60 }), (bounds, steps) => {
        const world = new World(bounds);
        const held: string[][] = [[], [], []];
        const wanted = new Map<string, number>();
        const hear = (lines: readonly string[]): void => {
          for (const line of lines) {
            const [, id, count, kind] = /^(\d) gets (\d+) (.*)$/.exec(line) ?? [];
            if (kind === undefined) continue;
            for (let i = 0; i < Number(count); i += 1) held[Number(id)]?.push(kind);
            wanted.set(`${id} ${kind}`, (wanted.get(`${id} ${kind}`) ?? 0) - Number(count));
          }
        };
        for (const [what, worker, at, count] of steps) {
          const id = worker + 1;
          const kind = kinds[at] as string;
          if (what === "want") {
            wanted.set(`${id} ${kind}`, count);
            hear(world.wants(id, count, kind));
          } else if (what === "close") {
            const gone = held[id]?.pop();
            if (gone !== undefined) hear(world.closed(id, gone));
          } else {
            held[id] = [];
            for (const one of kinds) wanted.delete(`${id} ${one}`);
            hear(world.at({ type: "worker-left", id }));
            hear(world.at({ type: "worker-joined", id }));
          }
          const all = held.flat();
          const isFull = (kindText: string): boolean => {
            const { user, database } = kindOf(kindText);
            const ofDatabase = all.filter((one) => one.endsWith(`@${database}`)).length;
            const ofUser = all.filter((one) => one.startsWith(`${user}@`)).length;
            const rooms = [
              [all.length, bounds.backend],
              [ofDatabase, bounds.database],
              [ofUser, bounds.user],
            ] as const;
            for (const [used, max] of rooms) if (max > 0) expect(used).toBeLessThanOrEqual(max);
            return rooms.some(([used, max]) => max > 0 && used >= max);
          };
          for (const one of kinds) isFull(one);
          for (const [who, open] of wanted) {
            if (open > 0) expect(isFull(who.slice(2))).toBe(true);
          }
        }
      }),
    );
  });
});
