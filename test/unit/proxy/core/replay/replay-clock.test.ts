import { describe, expect, test } from "vitest";
import { formatLsn, parseLsn, ReplayClock } from "../../../../../src/proxy/core/replay/index.ts";

const TIMELINE = 3;

function answered(clock: ReplayClock, lsn: number, atMs = 0, timeline = TIMELINE): number {
  const asked = clock.primaryAsked();
  clock.primaryAnswered(asked, lsn, timeline, atMs);
  return asked;
}

describe("a position", () => {
  test("is read and written as PostgreSQL does", () => {
    expect(parseLsn("16/B374D848")).toBe(0x16 * 2 ** 32 + 0xb374d848);
    expect(formatLsn(0x16 * 2 ** 32 + 0xb374d848)).toBe("16/B374D848");
    expect(formatLsn(0x60)).toBe("0/60");
  });

  test.each(["", "0", "0/", "/0", "g/0", "0/0/0", "123456789/0", "FFFFFFFF/FFFFFFFF", "-1/0"])(
    "%s is none",
    (text) => expect(parseLsn(text)).toBeNull(),
  );
});

describe("the primary's position", () => {
  test("counts for what was done before it was asked for, not for what came after", () => {
    const clock = new ReplayClock();
    const needs = clock.next;
    expect(clock.positionOf(needs)).toBeNull();
    const asked = clock.primaryAsked();
    const later = clock.next;
    clock.primaryAnswered(asked, 100, TIMELINE, 0);
    expect(clock.positionOf(needs)).toBe(100);
    expect(clock.positionOf(later)).toBeNull();
    answered(clock, 200);
    expect(clock.positionOf(needs)).toBe(100);
    expect(clock.positionOf(later)).toBe(200);
  });

  test("that stays where it is counts for later questions as well", () => {
    const clock = new ReplayClock();
    answered(clock, 100);
    const needs = clock.next;
    answered(clock, 100);
    expect(clock.positionOf(needs)).toBe(100);
  });

  test("that is too long ago to be remembered is the oldest that is", () => {
    const clock = new ReplayClock();
    for (let lsn = 1; lsn <= 1000; lsn += 1) answered(clock, lsn);
    expect(clock.positionOf(1)).toBe(1000 - 256 + 1);
  });

  test("of a primary that was replaced counts no more", () => {
    const clock = new ReplayClock();
    answered(clock, 100);
    clock.primaryLost();
    expect(clock.positionOf(1)).toBeNull();
    expect(clock.isBlind).toBe(true);
  });
});

describe("what a standby has replayed", () => {
  test("counts when one of its timelines is the primary's and none is later", () => {
    const on = (timelines: readonly number[]): number => {
      const clock = new ReplayClock();
      answered(clock, 100);
      clock.standbyAnswered(1, 100, timelines, 0);
      return clock.replayed(1);
    };
    expect(on([TIMELINE])).toBe(100);
    expect(on([TIMELINE - 1, TIMELINE])).toBe(100);
    expect(on([TIMELINE - 1])).toBeLessThan(0);
    expect(on([TIMELINE, TIMELINE + 1])).toBeLessThan(0);
    expect(on([])).toBeLessThan(0);
  });

  test("must be shown anew after a failover, however far the standby is", () => {
    const clock = new ReplayClock();
    answered(clock, 100);
    clock.standbyAnswered(1, 5000, [TIMELINE], 0);
    expect(clock.mustProve(1)).toBe(false);
    answered(clock, 90, 0, TIMELINE + 1);
    expect(clock.mustProve(1)).toBe(true);
    clock.standbyAnswered(1, 5000, [TIMELINE], 0);
    expect(clock.replayed(1)).toBeLessThan(0);
    clock.standbyAnswered(1, 120, [TIMELINE, TIMELINE + 1], 0);
    expect(clock.replayed(1)).toBe(120);
    clock.standbyAnswered(1, 130, null, 0);
    expect(clock.replayed(1)).toBe(130);
  });

  test("is not believed for ever, nor after the standby was lost", () => {
    const clock = new ReplayClock();
    answered(clock, 100);
    clock.standbyAnswered(1, 100, [TIMELINE], 1000);
    clock.forgetOlder(6000, 5000);
    expect(clock.replayed(1)).toBe(100);
    clock.forgetOlder(6001, 5000);
    expect(clock.replayed(1)).toBeLessThan(0);
    clock.standbyAnswered(1, 100, [TIMELINE], 7000);
    clock.standbyLost(1);
    expect(clock.replayed(1)).toBeLessThan(0);
  });

  test("is as late as the oldest position that it does not have", () => {
    const clock = new ReplayClock();
    answered(clock, 100, 1000);
    answered(clock, 200, 2000);
    clock.standbyAnswered(1, 100, [TIMELINE], 2500);
    expect(clock.lagMs(1, 2600, 1000)).toBe(500);
    expect(clock.lagMs(1, 4000, 1000)).toBe(0);
    clock.standbyAnswered(1, 200, null, 4100);
    expect(clock.lagMs(1, 4100, 1000)).toBe(0);
  });
});
