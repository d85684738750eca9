/** The figures of many runs, for people. */
import type { Ms } from "../../src/base/index.ts";
import type { Tally } from "./tally.ts";

export function formatTally(tally: Tally, tookMs: Ms): string {
  const hours = tally.simulatedMs / 3_600_000;
  const perSecond = (count: number): string => withCommas((count / tookMs) * 1000);
  const faultCount = Object.values(tally.struck).reduce((sum, count) => sum + count, 0);
  const lines = [
    row("seeds", withCommas(tally.seeds), `${perSecond(tally.seeds * 3600)} an hour`),
    row("events", withCommas(tally.events), `${perSecond(tally.events)} a second`),
    row("core steps", withCommas(tally.coreSteps)),
    row("elections won", withCommas(tally.elections)),
    row("VIP take-overs", withCommas(tally.takeOvers)),
    row("failover commands", withCommas(tally.commands)),
    row("writes forwarded", withCommas(tally.writes)),
    row(
      "simulated hours",
      hours.toFixed(2),
      `${withCommas(tally.simulatedMs / tookMs)} × real time`,
    ),
    row("wall seconds", (tookMs / 1000).toFixed(1)),
    row("faults", withCommas(faultCount)),
    ...Object.entries(tally.struck)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([kind, count]) => row(`  ${kind}`, withCommas(count))),
    row("broken promises", withCommas(tally.failures.length)),
  ];
  return `${lines.join("\n")}\n`;
}

function row(name: string, value: string, remark = ""): string {
  return `${name.padEnd(28)}${value.padStart(14)}${remark === "" ? "" : `   ${remark}`}`;
}

function withCommas(number: number): string {
  return String(Math.round(number)).replaceAll(/\B(?=(\d{3})+$)/g, " ");
}
