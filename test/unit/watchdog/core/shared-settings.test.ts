import { expect, test } from "vitest";
import { describeDifference } from "../../../../src/watchdog/core/shared-settings.ts";

const OWN = { wd_lease_time: "600 ms", delegate_ip: "10.0.0.100" };

test("nodes with the same settings have nothing to say", () => {
  expect(describeDifference(OWN, { ...OWN })).toBe("");
});

test("what differs is named with both values, as is what only one side knows", () => {
  expect(describeDifference(OWN, { delegate_ip: "10.0.0.100", wd_lease_time: "3000 ms" })).toBe(
    'wd_lease_time is "600 ms" here and "3000 ms" there',
  );
  expect(describeDifference(OWN, { ...OWN, later: "x" })).toBe('later is "" here and "x" there');
});

test("a peer cannot make the words longer than a line of the log bears", () => {
  const theirs = Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [`${i}`.padStart(400, "n"), "v".repeat(400)]),
  );
  expect(describeDifference(OWN, theirs).length).toBeLessThanOrEqual(500);
});
