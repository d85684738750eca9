import { expect, it } from "vitest";
import {
  formatHistoryLine,
  mergeHistories,
  newestLines,
  parseHistoryLines,
  plainEntry,
  type HistoryEntry,
} from "../../../../../src/backend/index.ts";

function entryOf(epoch: number, change: Partial<HistoryEntry> = {}): HistoryEntry {
  const facts = { epoch, eventId: `n0-${epoch}`, kind: "attach", reason: "test" } as const;
  return plainEntry({ ...facts, endedAt: epoch * 10, ...change });
}

it("reads back what was written, and of an event that was added to the newest form", () => {
  const added = entryOf(1, { revision: 1, problem: "late" });
  const text = [entryOf(1), entryOf(2), added, entryOf(1)].map(formatHistoryLine).join("");
  expect(parseHistoryLines(text)).toEqual([added, entryOf(2)]);
});

it("leaves out a line that a crash has torn, wherever it was cut", () => {
  const whole = formatHistoryLine(entryOf(1));
  const next = formatHistoryLine(entryOf(2));
  for (let length = 0; length < whole.length - 1; length += 1) {
    expect(parseHistoryLines(`${whole.slice(0, length)}\n${next}`)).toEqual([entryOf(2)]);
  }
});

it("leaves out what is of another version or no entry at all", () => {
  const lines = ["null", "[]", "{}", JSON.stringify({ ...entryOf(3), kind: "unheard-of" })];
  expect(parseHistoryLines(`${lines.join("\n")}\n${formatHistoryLine(entryOf(2))}`)).toEqual([
    entryOf(2),
  ]);
});

it("joins two histories, each event once", () => {
  const full = entryOf(2, { problem: "told in full" });
  const late = entryOf(1, { revision: 2 });
  expect(mergeHistories([entryOf(1), full], [late, entryOf(2), entryOf(3)])).toEqual([
    late,
    full,
    entryOf(3),
  ]);
});

it("keeps the newest lines that have room", () => {
  const entries = [1, 2, 3, 4].map((epoch) => entryOf(epoch));
  const room = formatHistoryLine(entryOf(1)).length * 2;
  expect(parseHistoryLines(newestLines(entries, room))).toEqual([entryOf(3), entryOf(4)]);
  expect(newestLines(entries, 10)).toBe("");
});
