/**
 * The file in which a node keeps the history: one JSON object a line, only appended to. An entry
 * to which something was added stands there again with a higher revision; the last one counts.
 */
import { decodeHistoryEntry } from "./decode-history.ts";
import type { HistoryEntry } from "./history.ts";

export function formatHistoryLine(entry: HistoryEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

/**
 * The entries of a file, the oldest first. Lines that cannot be read are left out: the last one
 * may have been torn by a crash, others may be of another version.
 */
export function parseHistoryLines(text: string): readonly HistoryEntry[] {
  const byEvent = new Map<string, HistoryEntry>();
  for (const line of text.split("\n")) {
    const entry = parseLine(line);
    if (entry === null) continue;
    const before = byEvent.get(entry.eventId);
    if (before === undefined || before.revision < entry.revision) {
      byEvent.set(entry.eventId, entry);
    }
  }
  return inOrder([...byEvent.values()]);
}

/** What is in either of them; of an event in both, what was added to last, else the first one's. */
export function mergeHistories(
  one: readonly HistoryEntry[],
  other: readonly HistoryEntry[],
): readonly HistoryEntry[] {
  const byEvent = new Map(other.map((entry) => [entry.eventId, entry]));
  for (const entry of one) {
    const known = byEvent.get(entry.eventId);
    if (known === undefined || known.revision <= entry.revision) {
      byEvent.set(entry.eventId, entry);
    }
  }
  return inOrder([...byEvent.values()]);
}

/** The entries of a file that has become too long, so many bytes of the newest. */
export function newestLines(entries: readonly HistoryEntry[], charactersMax: number): string {
  const lines: string[] = [];
  let characters = 0;
  for (const entry of entries.toReversed()) {
    const line = formatHistoryLine(entry);
    characters += line.length;
    if (characters > charactersMax) break;
    lines.push(line);
  }
  return lines.toReversed().join("");
}

function inOrder(entries: readonly HistoryEntry[]): readonly HistoryEntry[] {
  return entries.toSorted(
    (one, other) => one.endedAt - other.endedAt || one.lastEpoch - other.lastEpoch,
  );
}

function parseLine(line: string): HistoryEntry | null {
  if (line === "") return null;
  try {
    const decoded = decodeHistoryEntry(JSON.parse(line));
    return decoded.ok ? decoded.value : null;
  } catch {
    return null;
  }
}
