import { describe, expect, it } from "vitest";
import { parseToldDelays } from "../../../../../src/backend/index.ts";

describe("what replication_delay_source_cmd prints", () => {
  const told = (...lines: readonly string[]): unknown => {
    const parsed = parseToldDelays(lines, [0, 1, 3]);
    return parsed.ok ? [...parsed.value] : parsed.error;
  };

  it("is a delay for each backend in their order, on one line or on several", () => {
    const right = [
      [0, 0],
      [1, 25],
      [3, 1.5],
    ];
    expect(told("0 25 1.5")).toEqual(right);
    expect(told("0", "25", "1.5", "")).toEqual(right);
    expect(told("  0\t25", "1.5  ")).toEqual(right);
  });

  it("may leave a delay open, and may make remarks on lines of their own", () => {
    expect(told("asking node 3", "0 -1 7")).toEqual([
      [0, 0],
      [1, 0],
      [3, 7],
    ]);
  });

  it("is refused when it is anything else, with what it was", () => {
    expect(told()).toBe("it printed 0 delays for 3 backends");
    expect(told("0 1")).toBe("it printed 2 delays for 3 backends");
    expect(told("0 1 2 3")).toBe("it printed 4 delays for 3 backends");
    expect(told("0 1 two")).toBe('it printed 0 delays for 3 backends, and "0 1 two"');
    for (const wrong of ["-2", "1e9", "NaN", "0x1", "1,5", "9999999999999", "."]) {
      expect(told(`0 1 ${wrong}`), wrong).toContain("printed 0 delays");
    }
    expect(told("x".repeat(5000))).toHaveLength(142);
  });
});
