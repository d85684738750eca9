import { describe, expect, it } from "vitest";
import { countRuns, parseCommandNotes } from "../../cluster/failover/commands.ts";
import {
  CaseRecord,
  formatOutcome,
  isSpeedMet,
  notPlayed,
} from "../../cluster/failover/figures.ts";
import { judge } from "../../cluster/failover/ledger.ts";
import { parseLine } from "../../cluster/failover/node-log.ts";
import { parseFailoverOptions } from "../../cluster/failover/options.ts";

function notes(...lines: readonly string[]): ReturnType<typeof parseCommandNotes> {
  return parseCommandNotes(lines.map((line) => `1000 ${line}\n`).join(""));
}

describe("the count of failover_commands", () => {
  it("sees one run of one epoch", () => {
    const runs = countRuns(
      notes(
        "begin on=n1 epoch=3 event=0.1-3 failed=0 pid=7 alone=yes",
        "done on=n1 epoch=3 event=0.1-3 failed=0 pid=7 exit=0",
        "end on=n1 epoch=3 event=0.1-3 failed=0 pid=7 exit=0",
      ),
    );
    expect(runs).toEqual({
      begun: 1,
      ended: 1,
      concurrent: 0,
      epochsTwice: 0,
      afterDone: 0,
      again: 0,
      events: ["0.1-3"],
    });
  });

  it("sees a run that began beside another", () => {
    const runs = countRuns(
      notes("begin on=n1 epoch=3 event=a alone=yes", "begin on=n2 epoch=4 event=a alone=no"),
    );
    expect(runs).toMatchObject({ begun: 2, concurrent: 1, epochsTwice: 0, again: 1 });
  });

  it("sees two runs of one epoch, unless they are for two servers", () => {
    const twice = notes(
      "begin on=n1 epoch=3 event=a failed=0",
      "begin on=n2 epoch=3 event=a failed=0",
    );
    expect(countRuns(twice)).toMatchObject({ epochsTwice: 1 });
    const both = notes(
      "begin on=n1 epoch=3 event=a failed=0",
      "begin on=n1 epoch=3 event=a failed=2",
    );
    expect(countRuns(both)).toMatchObject({ epochsTwice: 0 });
  });

  it("tells a run behind one that had done its work from one behind a run that was killed", () => {
    const killed = notes(
      "begin epoch=3 event=a",
      "begin epoch=4 event=a",
      "done epoch=4 event=a exit=0",
    );
    expect(countRuns(killed)).toMatchObject({ again: 1, afterDone: 0 });
    const done = notes(
      "begin epoch=3 event=a",
      "done epoch=3 event=a exit=0",
      "begin epoch=4 event=a",
    );
    expect(countRuns(done)).toMatchObject({ again: 1, afterDone: 1 });
  });
});

describe("the comparison of rows", () => {
  const writes = [{ writer: 4, acknowledged: [1, 2], unknown: [3], refused: [5] }];

  it("finds a row that was acknowledged and is not there, whatever else is", () => {
    expect(judge(writes, new Set(["4|1", "4|3", "4|9"]))).toEqual({
      acknowledged: 2,
      lost: ["4|2"],
      unknown: 1,
      denied: [],
    });
  });

  it("finds a row that is there though its client was told that it is not", () => {
    expect(judge(writes, new Set(["4|1", "4|2", "4|5"]))).toMatchObject({
      lost: [],
      denied: ["4|5"],
    });
  });
});

describe("the record of a case", () => {
  it("holds a promise of none until there is one, and one of some only when there was one", () => {
    const record = new CaseRecord("crash");
    record.mustBeNone("rows lost", 0);
    record.mustBeSome("rows lost without us", 0);
    expect(record.finish().promises.map(({ ok }) => ok)).toEqual([true, false]);
    record.mustBeNone("rows lost", 1);
    record.mustBeSome("rows lost without us", 2);
    expect(record.finish().promises.map(({ ok }) => ok)).toEqual([false, true]);
  });

  it("fails with every complaint", () => {
    const record = new CaseRecord("crash");
    record.complain("round 1: no write succeeded again");
    expect(record.finish().promises.some(({ ok }) => !ok)).toBe(true);
  });

  it("says whether a speed was met, and nothing where nothing was measured", () => {
    const target = { p50: 600, p99: 2000 };
    expect(isSpeedMet({ name: "writes", target, values: [500, 550, 1900] })).toBe(true);
    expect(isSpeedMet({ name: "writes", target, values: [500, 650, 1900] })).toBe(false);
    expect(isSpeedMet({ name: "writes", target, values: [] })).toBe(null);
    expect(isSpeedMet({ name: "writes", target: {}, values: [1] })).toBe(null);
  });

  it("is printed with targets, what was found and what was not played", () => {
    const record = new CaseRecord("crash");
    record.rounds = 1;
    record.measure("writes again", { p50: 600 }, 700);
    record.mustBeNone("rows lost", 0);
    const cases = [record.finish(), notPlayed("switchover", "this version has none")];
    const text = formatOutcome({ ok: true, seed: 1, profile: "fast", seconds: 9, cases });
    expect(text).toMatch(/crash +1 +writes again +p50 <= 600 +700 \/ 700 \/ 700 +missed/);
    expect(text).toMatch(/crash +1 +rows lost +0 +held/);
    expect(text).toContain("not played: switchover: this version has none");
    expect(text).toContain("1 of 1 promises held, 1 cases not played");
  });
});

describe("a line of a node's log", () => {
  it("tells its moment", () => {
    const line = parseLine("n1", "2026-01-02 03:04:05.678: main pid 7: LOG:  text");
    expect(line).toEqual({
      host: "n1",
      wallMs: new Date(2026, 0, 2, 3, 4, 5, 678).getTime(),
      text: "main pid 7: LOG:  text",
    });
    expect(parseLine("n1", "    at somewhere (file.js:1)")).toBe(null);
  });
});

describe("the words after failover", () => {
  it("choose cases and rounds", () => {
    const parsed = parseFailoverOptions(["--cases", "stalls,crash", "--rounds", "5", "--json"], 7);
    expect(parsed).toMatchObject({
      ok: true,
      value: { cases: ["crash", "stalls"], rounds: 5, seed: 7, isJson: true },
    });
  });

  it("are refused with what was expected", () => {
    const parsed = parseFailoverOptions(["--cases", "crush"], 7);
    expect(parsed).toMatchObject({
      ok: false,
      error: expect.stringContaining('"crush" is none of'),
    });
  });
});
