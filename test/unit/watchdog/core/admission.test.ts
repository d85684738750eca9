import { describe, expect, it } from "vitest";
import {
  admit,
  leave,
  startAdmission,
  STRANGERS_MAX_A_SECOND,
  WAITING_MAX,
  WAITING_MAX_OF_ONE_ADDRESS,
  type Admission,
} from "../../../../src/watchdog/core/admission.ts";

/** A door with a clock of its own; keys count from 1. */
class Door {
  state: Admission = startAdmission(0);
  nowMs = 0;
  #key = 0;

  /** The key of the newcomer, and who was turned away for it. */
  knock(address: string, isMembersAddress = false): { key: number; turnedAway: number[] } {
    const key = ++this.#key;
    const { state, turnedAway } = admit(this.state, { key, address, isMembersAddress }, this.nowMs);
    this.state = state;
    return { key, turnedAway: [...turnedAway] };
  }

  get waiting(): number[] {
    return this.state.waiting.map(({ key }) => key);
  }
}

describe("the door of the watchdog's port", () => {
  it("lets a connection wait, and forgets it when it has left", () => {
    const door = new Door();
    const { key, turnedAway } = door.knock("10.0.0.1");
    expect([turnedAway, door.waiting]).toEqual([[], [key]]);
    door.state = leave(door.state, key);
    expect(door.waiting).toEqual([]);
  });

  it("drops the longest waiting stranger when it is full, never a member's connection", () => {
    const door = new Door();
    const member = door.knock("10.0.0.1", true).key;
    for (let at = 1; at < WAITING_MAX; at++) {
      door.nowMs += 100;
      expect(door.knock(`10.9.0.${at}`).turnedAway).toEqual([]);
    }
    door.nowMs += 100;
    expect(door.knock("10.9.1.1").turnedAway).toEqual([2]);
    expect(door.waiting).toContain(member);
    expect(door.knock("10.0.0.2", true).turnedAway).toEqual([3]);
    expect(door.waiting).toHaveLength(WAITING_MAX);
  });

  it("gives one address a few places; the longest waiting of its own makes room", () => {
    const door = new Door();
    const other = door.knock("10.0.0.2").key;
    for (let at = 0; at < WAITING_MAX_OF_ONE_ADDRESS; at++) {
      expect(door.knock("10.0.0.1", true).turnedAway).toEqual([]);
    }
    expect(door.knock("10.0.0.1", true).turnedAway).toEqual([2]);
    expect(door.waiting).toContain(other);
  });

  it("lets strangers knock so often a second, and members as often as they like", () => {
    const door = new Door();
    const knocks = (): number =>
      Array.from({ length: 200 }, (_, at) => door.knock(`10.9.0.${at}`)).filter(
        ({ key, turnedAway }) => !turnedAway.includes(key),
      ).length;
    expect(knocks()).toBe(STRANGERS_MAX_A_SECOND);
    expect(knocks()).toBe(0);
    const member = door.knock("10.0.0.1", true);
    expect(member.turnedAway).not.toContain(member.key);
    door.nowMs += 500;
    expect(knocks()).toBe(STRANGERS_MAX_A_SECOND / 2);
    door.nowMs += 3_600_000;
    expect(knocks()).toBe(STRANGERS_MAX_A_SECOND);
    expect(door.waiting.length).toBeLessThanOrEqual(WAITING_MAX);
  });

  it("keeps a member's handshake alive through a flood from everywhere", () => {
    const door = new Door();
    const { key } = door.knock("10.0.0.1", true);
    for (let at = 0; at < 10_000; at++) {
      door.nowMs += 1;
      expect(door.knock(`10.${at >> 8}.${at & 255}.1`).turnedAway).not.toContain(key);
    }
    expect(door.waiting).toContain(key);
  });
});
