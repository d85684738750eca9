import { describe, expect, it } from "vitest";
import {
  complaintOf,
  parseLatencies,
  parsePgbench,
  parseProgress,
  queriesBetween,
} from "../../../bench/pgbench-output.ts";

const TIMED = `pgbench (15.18 (Debian 15.18-0+deb12u1))
transaction type: <builtin: select only>
scaling factor: 1
query mode: simple
number of clients: 32
number of threads: 2
maximum number of tries: 1
duration: 1 s
number of transactions actually processed: 18390
number of failed transactions: 0 (0.000%)
latency average = 1.739 ms
initial connection time = 11.250 ms
tps = 18389.412345 (without initial connection time)
`;

describe("pgbench's output", () => {
  it("gives queries and queries per second", () => {
    expect(parsePgbench(TIMED)).toEqual({
      ok: true,
      value: { queries: 18390, tps: 18389.412345 },
    });
  });

  it("is read as well when each query reconnects", () => {
    const text = TIMED.replace(
      "initial connection time = 11.250 ms",
      "average connection time = 4.7 ms",
    ).replace("(without initial connection time)", "(including reconnection times)");
    expect(parsePgbench(text)).toMatchObject({ ok: true, value: { tps: 18389.412345 } });
  });

  it("is read as well when it says how many queries were wanted", () => {
    const text = TIMED.replace("processed: 18390", "processed: 3200/3200");
    expect(parsePgbench(text)).toMatchObject({ ok: true, value: { queries: 3200 } });
  });

  it.each([
    ["nothing", "", "no result"],
    ["a text that breaks off", TIMED.slice(0, TIMED.indexOf("tps")), "no result"],
    ["no query at all", TIMED.replace("18390", "0"), "no query"],
    ["failed queries", TIMED.replace("transactions: 0", "transactions: 7"), "7 of 18390"],
  ])("is refused when it contains %s", (_what, text, reason) => {
    expect(parsePgbench(text)).toEqual({ ok: false, error: expect.stringContaining(reason) });
  });
});

describe("pgbench's progress", () => {
  it("is told line by line", () => {
    const line = "progress: 2.0 s, 27576.9 tps, lat 1.159 ms stddev 0.4, 0 failed";
    expect(parseProgress(line)).toEqual({ seconds: 2, tps: 27576.9 });
    expect(parseProgress("tps = 27576.9 (without initial connection time)")).toBeNull();
  });

  it("counts the queries from the first line to the last", () => {
    const lines = [
      { seconds: 1, tps: 9000 },
      { seconds: 2, tps: 1000 },
      { seconds: 2.5, tps: 2000 },
    ];
    expect(queriesBetween(lines)).toBe(2000);
    expect(queriesBetween(lines.slice(0, 1))).toBe(0);
  });
});

describe("the times of single queries", () => {
  it("are ascending and without the lag behind the schedule", () => {
    const text = "0 1 350 0 1763791000 1 50\n0 2 120 0 1763791000 2 0\n\n";
    expect(parseLatencies(text)).toEqual([120, 300]);
  });

  it("are taken as they are where there is no schedule", () => {
    expect(parseLatencies("0 1 350 0 1763791000 1\n")).toEqual([350]);
  });
});

describe("pgbench's complaint", () => {
  it("is its first error, without what every error begins with", () => {
    const text = `pgbench (15.18)
pgbench: error: client 3 script 0 aborted in command 1 query 0: ERROR:  prepared statement "P_0" does not exist
pgbench: error: Run was aborted; the above results are incomplete.
`;
    expect(complaintOf(text)).toBe('ERROR:  prepared statement "P_0" does not exist');
  });

  it("is never a line of progress", () => {
    const text = "progress: 1.0 s, 0.0 tps, lat 0.0 ms stddev 0.0, 3 failed error\nKilled\n";
    expect(complaintOf(text)).toBe("Killed");
  });

  it("is the first line when none is called an error", () => {
    expect(complaintOf("\n  Segmentation fault\n")).toBe("Segmentation fault");
  });

  it("is said to be missing when there is none", () => {
    expect(complaintOf("\n")).toBe("it said nothing");
  });

  it("is cut when it is long", () => {
    expect(complaintOf(`pgbench: error: ${"x".repeat(1000)}`)).toHaveLength(161);
  });
});
