import { describe, expect, it } from "vitest";
import { parseShares } from "../../../bench/shares.ts";

describe("what perf saw, by kind of program", () => {
  it("is shared out, to 1 in all", () => {
    const report = [
      "    60.00%  [kernel.kallsyms]",
      "     2.00%  [vdso]",
      "    12.00%  [JIT] tid 123",
      "     8.00%  node",
      "     6.00%  libc.so.6",
      "     2.00%  koffi.node",
    ].join("\n");
    const shares = parseShares(report, "node");
    expect(shares?.kernel).toBeCloseTo(62 / 90);
    expect(shares?.JavaScript).toBeCloseTo(12 / 90);
    expect(shares?.program).toBeCloseTo(8 / 90);
    expect(shares?.libraries).toBeCloseTo(8 / 90);
  });

  it("is nothing when perf saw nothing", () => {
    expect(parseShares("perf: no samples\n", "node")).toBeNull();
  });
});
