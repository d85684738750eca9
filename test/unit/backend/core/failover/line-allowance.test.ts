import { expect, it } from "vitest";
import {
  BURST_LINES,
  LineAllowance,
} from "../../../../../src/backend/core/failover/line-allowance.ts";

it("lets a flood into the log by the beginning and the end, and says how much was left out", () => {
  const allowance = new LineAllowance(0);
  const logged: string[] = [];
  for (let line = 0; line < 100_000; line += 1) logged.push(...allowance.take(`line ${line}`, 0));
  expect(logged).toHaveLength(BURST_LINES);
  logged.push(...allowance.end());
  expect(logged.slice(BURST_LINES)).toEqual([
    "(99895 more lines, not logged)",
    "line 99995",
    "line 99996",
    "line 99997",
    "line 99998",
    "line 99999",
  ]);
});

it("lets some lines of each second through, and nothing is left out of a slow command", () => {
  const allowance = new LineAllowance(0);
  for (let line = 0; line < BURST_LINES + 3; line += 1) allowance.take(`line ${line}`, 0);
  expect(allowance.take("later", 150)).toEqual(["(3 more lines, not logged)", "later"]);
  expect(allowance.take("at once", 151)).toEqual([]);
  expect(allowance.end()).toEqual(["at once"]);
  const slow = new LineAllowance(0);
  for (let line = 0; line < 1000; line += 1) expect(slow.take("x", line * 100)).toEqual(["x"]);
  expect(slow.end()).toEqual([]);
});
