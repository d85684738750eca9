import { describe, expect, test } from "vitest";
import {
  ConnectionClaims,
  isInRoom,
  type Claim,
} from "../../../../../src/proxy/core/pool/index.ts";

const KIND = { backendId: 0, database: "d", user: "u" };
const OTHER = { backendId: 0, database: "e", user: "u" };

class World {
  readonly claims = new ConnectionClaims({
    isCapped: true,
    tell: (message) => {
      const { database } = message.kind;
      const count = "count" in message ? ` ${message.count}` : "";
      this.#lines.push(`${message.type}${count} ${database}`);
    },
  });
  #lines: string[] = [];

  claim(name: string, kind = KIND): Claim {
    const granted = (): void => {
      this.#lines.push(`${name} may open`);
    };
    const claim = { kind, sinceMs: 0, granted };
    this.claims.claim(claim);
    return claim;
  }

  story(): string {
    return this.#lines.splice(0).join(", ");
  }
}

describe("claims to bounded connections", () => {
  test("are granted in turn, and what nobody needs any more goes back", () => {
    const world = new World();
    world.claim("a");
    const second = world.claim("b");
    expect(world.story()).toBe("connections-wanted 1 d, connections-wanted 2 d");
    world.claims.granted(KIND, 1);
    expect(world.story()).toBe("a may open, connections-wanted 1 d");
    expect(world.claims.giveUp(second)).toBe(true);
    expect(world.claims.giveUp(second)).toBe(false);
    world.claims.granted(KIND, 1); // It was on its way.
    expect(world.story()).toBe(
      "connections-wanted 0 d, connection-closed d, connections-wanted 0 d",
    );
    expect([...world.claims.kinds]).toMatchObject([{ kind: KIND, held: 1 }]);
    world.claims.closed(KIND);
    expect([...world.claims.kinds]).toEqual([]);
  });

  test("know what others wait for more", () => {
    const world = new World();
    for (const name of ["a", "b"]) world.claim(name);
    world.claims.granted(KIND, 2);
    expect(world.claims.isOwed(KIND, false)).toBe(false);
    world.claims.scarceTold([{ room: "backend 0 database d", share: 1, isOwed: false }]);
    expect(world.claims.isOwed(KIND, false)).toBe(true);
    expect(world.claims.isOwed(KIND, true)).toBe(false);
    expect(world.claims.isOwed(OTHER, false)).toBe(false);
    expect(world.claims.scarceRooms).toEqual(["backend 0 database d"]);
    world.claims.scarceTold([{ room: "backend 0 user u", share: 1, isOwed: true }]);
    expect(world.claims.isOwed(KIND, true)).toBe(true);
    world.claims.closed(KIND);
    expect(world.claims.isOwed(KIND, true)).toBe(false);
    expect(world.claims.isOwed(KIND, false)).toBe(false);
    world.claims.scarceTold([]);
    expect(world.claims.isScarce).toBe(false);
  });

  test("count against the server, one of its databases and one of its users", () => {
    const rooms = ["backend 0", "backend 0 database d", "backend 0 user u"];
    for (const room of rooms) expect(isInRoom(KIND, room)).toBe(true);
    for (const room of ["backend 1", "backend 0 database u", "backend 0 user d"]) {
      expect(isInRoom(KIND, room)).toBe(false);
    }
  });
});
