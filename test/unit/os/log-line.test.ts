import { describe, expect, it } from "vitest";
import { formatMoment, formatLogLines, type LineFacts } from "../../../src/os/log-line.ts";

function factsWith(change: Partial<LineFacts> = {}): LineFacts {
  let lineNumber = 0;
  return {
    nowMs: new Date(2026, 0, 31, 13, 5, 9, 7).getTime(),
    application: "main",
    processKind: "MAIN",
    pid: 4711,
    client: undefined,
    nextLineNumber: () => (lineNumber += 1),
    ...change,
  };
}

describe("a log line", () => {
  it("has Pgpool-II's prefix and tags, on the lines below it too", () => {
    const details = { detail: "more", hint: "do this" };
    expect(formatLogLines("%m: %a pid %p: ", factsWith(), "log", "it happened", details)).toBe(
      "2026-01-31 13:05:09.007: main pid 4711: LOG:  it happened\n" +
        "2026-01-31 13:05:09.007: main pid 4711: DETAIL:  more\n" +
        "2026-01-31 13:05:09.007: main pid 4711: HINT:  do this\n",
    );
  });

  it("has one tag for all debug levels", () => {
    expect(formatLogLines("", factsWith(), "debug5", "x")).toBe("DEBUG:  x\n");
    expect(formatLogLines("", factsWith(), "warning", "x")).toBe("WARNING:  x\n");
  });

  it("knows every escape, numbers each line, and drops what it does not know", () => {
    const prefix = "%t|%a|%p|%P|%u|%d|%l|%%|%x|%";
    const lines = formatLogLines(prefix, factsWith(), "log", "x", { detail: "y" });
    expect(lines).toBe(
      "2026-01-31 13:05:09|main|4711|MAIN|[No Connection]|[No Connection]|1|%||LOG:  x\n" +
        "2026-01-31 13:05:09|main|4711|MAIN|[No Connection]|[No Connection]|2|%||DETAIL:  y\n",
    );
  });

  it("names the client where there is one", () => {
    const client = { application: "psql", user: "u", database: "d" };
    expect(formatLogLines("%a %u@%d ", factsWith({ client }), "log", "x")).toBe(
      "psql u@d LOG:  x\n",
    );
  });

  it("cannot be forged by a message or a client's name", () => {
    const client = { application: "a\nLOG:  forged", user: "u\u001b[2J", database: "d" };
    const text = formatLogLines("%a %u ", factsWith({ client }), "log", "one\nLOG:  two\r\t");
    expect(text).toBe("a\n\tLOG:  forged u?[2J LOG:  one\n\tLOG:  two?\t\n");
  });

  it("is short when asked to", () => {
    expect(formatLogLines("", factsWith(), "log", "x", { detail: "y", terse: true })).toBe(
      "LOG:  x\n",
    );
  });

  it("keeps its milliseconds right from second to second", () => {
    const startMs = new Date(2026, 0, 31, 23, 59, 59, 999).getTime();
    expect(formatMoment(startMs)).toBe("2026-01-31 23:59:59.999");
    expect(formatMoment(startMs + 1)).toBe("2026-02-01 00:00:00.000");
    expect(formatMoment(startMs)).toBe("2026-01-31 23:59:59.999");
  });
});
