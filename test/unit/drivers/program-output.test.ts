import { describe, expect, test } from "vitest";
import { formatMatrix, formatTotals } from "../../drivers/matrix.ts";
import {
  difference,
  faultOfOracle,
  isNotSupported,
  parseOutput,
} from "../../drivers/program-output.ts";

describe("the output of a program", () => {
  test("is cut into features, and the names of its run are taken out", () => {
    const output = parseOutput("## simple\n1 q00001\n\n2\n\n## errors\n## end\n", "q00001");
    expect(output.get("simple")).toEqual(["1 TAG", "", "2"]);
    expect(output.get("errors")).toEqual([]);
    expect(output.has("big")).toBe(false);
  });

  test("may show nothing that is no feature", () => {
    expect(() => parseOutput("## simpel\n", "q00001")).toThrow('"simpel", which is no feature');
  });

  test("is of no use as an oracle when it is empty, missing or failed", () => {
    expect(faultOfOracle(["1"])).toBeNull();
    expect(faultOfOracle([])).toBe("the program shows nothing");
    expect(faultOfOracle(undefined)).toBe("the program does not show it");
    expect(faultOfOracle(["1", "failed: 42601 x"])).toBe("failed: 42601 x");
  });

  test("says what the driver cannot do", () => {
    expect(isNotSupported(["not supported: no COPY"])).toBe(true);
    expect(isNotSupported(["1"])).toBe(false);
  });
});

describe("a difference", () => {
  test("is none between equal lines", () => {
    expect(difference(["a", "b"], ["a", "b"])).toBeNull();
  });

  test("is the first line that parts, with those before", () => {
    expect(difference(["a", "b", "c"], ["a", "b", "d"])).toBe(
      "line 3:\n    a\n    b\n  - c\n  + d",
    );
  });

  test("is a line too few, a line too many, or a feature never begun", () => {
    expect(difference(["a"], [])).toContain("+ (nothing more)");
    expect(difference([], ["a"])).toContain("- (nothing more)");
    expect(difference(["a"], undefined)).toBe("never begun");
  });
});

test("the table has a word for each driver and feature", () => {
  const cells = [
    { driver: "one", feature: "simple", runs: 2, differing: 0, isSupported: true },
    { driver: "second", feature: "simple", runs: 2, differing: 1, isSupported: true },
    { driver: "one", feature: "big", runs: 2, differing: 0, isSupported: false },
  ] as const;
  expect(formatMatrix("mode", ["one", "second"], cells)).toBe(
    ["mode    one  second", "simple  ok   1/2!", "big     -"].join("\n"),
  );
  expect(formatTotals(cells)).toBe("1 ok, 1 differ, 1 not supported by the driver");
});
