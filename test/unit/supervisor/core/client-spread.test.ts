import { describe, expect, it } from "vitest";
import { ClientSpread } from "../../../../src/supervisor/core/client-spread.ts";

describe("the choice of a worker for a client", () => {
  it("is nobody before one takes clients, and after the last has left", () => {
    const spread = new ClientSpread();
    expect(spread.choose()).toBeNull();
    spread.joined(1);
    expect(spread.choose()).toBe(1);
    spread.left(1);
    expect(spread.choose()).toBeNull();
    spread.counted(1, 3);
    expect(spread.choose()).toBeNull();
  });

  it("is the emptiest, and those that were just given count", () => {
    const spread = new ClientSpread();
    for (const worker of [1, 2, 3]) spread.joined(worker);
    spread.counted(1, 2);
    spread.counted(3, 1);
    const chosen = Array.from({ length: 6 }, () => spread.choose());
    expect(chosen).toEqual([2, 2, 3, 1, 2, 3]);
  });

  it("begins anew with a worker that was started again", () => {
    const spread = new ClientSpread();
    spread.joined(1);
    spread.joined(2);
    spread.counted(1, 9);
    spread.counted(2, 5);
    spread.left(1);
    spread.joined(1);
    expect(spread.choose()).toBe(1);
    expect(spread.othersOf(2)).toEqual({ count: 1, connections: 1 });
    expect(spread.othersOf(1)).toEqual({ count: 1, connections: 5 });
    expect(new Set(spread.workers)).toEqual(new Set([1, 2]));
  });
});
