import { describe, expect, it } from "vitest";
import {
  parseChildren,
  parseKib,
  parsePssKib,
  parseStat,
  ticksOf,
  type ProcessStat,
} from "../../../bench/process-cost.ts";

function statLine(o: { name: string; pid?: number; parent?: number }): string {
  const upToTimes = `S ${o.parent ?? 1} 10 10 0 -1 4194560 900 80 1 2`;
  const times = "150 50 7 3";
  return `${o.pid ?? 42} (${o.name}) ${upToTimes} ${times} 20 0 11 0 98765 12345678 4096 18446744073709551615\n`;
}

describe("/proc/PID/stat", () => {
  it.each(["worker", "pgpool: worker 1", "a) S 1 (b", ") Z 9", ""])(
    "is read although the process is called %j",
    (name) => {
      expect(parseStat(statLine({ name, parent: 7 }))).toEqual({
        pid: 42,
        parentPid: 7,
        startTicks: 98765,
        ownTicks: 200,
        reapedTicks: 10,
      });
    },
  );

  it.each(["", "42", "42 (sh", "42 (sh) S 1 2", "x (sh) S 1"])("is refused as %j", (text) => {
    expect(parseStat(text)).toBeNull();
  });
});

function processStat(pid: number): ProcessStat {
  return { pid, parentPid: 1, startTicks: pid, ownTicks: 10, reapedTicks: 1 };
}

describe("the processes of a product", () => {
  it.each([
    ["", []],
    ["42 ", [42]],
    ["42 7 99 \n", [42, 7, 99]],
  ])("are found by way of the children that the kernel lists as %j", (text, pids) => {
    expect(parseChildren(text)).toEqual(pids);
  });

  it("cost the same before and after one of them ended", () => {
    const [parent, child] = [processStat(10), processStat(20)];
    const after = { ...parent, reapedTicks: parent.reapedTicks + ticksOf([child]) };
    expect(ticksOf([parent, child])).toBe(22);
    expect(ticksOf([after])).toBe(22);
  });
});

describe("the memory of a process", () => {
  it("is its proportional share", () => {
    const text =
      "55d0-7fff ---p 00000000 00:00 0 [rollup]\nRss:  9000 kB\nPss:                4321 kB\nPss_Dirty: 1 kB\n";
    expect(parsePssKib(text)).toBe(4321);
  });

  it("is unknown when the kernel does not say", () => {
    expect(parsePssKib("Rss: 9000 kB\nPss_Dirty: 1 kB\n")).toBeNull();
  });

  it("was at its peak what the kernel remembers", () => {
    expect(parseKib("Name:\tnode\nVmHWM:\t  1788 kB\nVmRSS:\t  1700 kB\n", "VmHWM")).toBe(1788);
  });
});
