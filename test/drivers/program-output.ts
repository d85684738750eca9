/** What a driver's program printed, by feature, and how two of them differ. */
import { isFeature, type Feature } from "./features.ts";

/** The lines of each feature that was begun. */
export type Output = ReadonlyMap<Feature, readonly string[]>;

/** Begins the only line of a feature that the driver cannot show. */
const NOT_SUPPORTED = "not supported: ";
/** Begins the line of a feature whose program met an error it did not expect. */
const FAILED = "failed: ";

/**
 * @param tag the word that makes the names of this run its own; it is taken out.
 */
export function parseOutput(text: string, tag: string): Output {
  const output = new Map<Feature, string[]>();
  let lines: string[] = [];
  for (const line of text.replaceAll(tag, "TAG").split("\n")) {
    if (!line.startsWith("## ")) {
      lines.push(line);
      continue;
    }
    const word = line.slice(3).trim();
    lines = [];
    if (isFeature(word)) output.set(word, lines);
    else if (word !== "end") throw new Error(`the program shows "${word}", which is no feature`);
  }
  for (const [feature, found] of output) {
    while (found.at(-1) === "") found.pop();
    output.set(feature, found);
  }
  return output;
}

export function isNotSupported(lines: readonly string[]): boolean {
  return lines[0]?.startsWith(NOT_SUPPORTED) ?? false;
}

/** Why the answer of PostgreSQL itself is of no use: the program is wrong. Null when it is fine. */
export function faultOfOracle(lines: readonly string[] | undefined): string | null {
  if (lines === undefined) return "the program does not show it";
  if (lines.length === 0) return "the program shows nothing";
  return lines.find((line) => line.startsWith(FAILED)) ?? null;
}

/** The first place where two runs part, with what came before; null when they are the same. */
export function difference(
  expected: readonly string[],
  actual: readonly string[] | undefined,
): string | null {
  if (actual === undefined) return "never begun";
  const length = Math.max(expected.length, actual.length);
  for (let at = 0; at < length; at += 1) {
    if (expected[at] === actual[at]) continue;
    const before = expected.slice(Math.max(0, at - 2), at).map((line) => `    ${shown(line)}`);
    const lines = [...before, `  - ${shown(expected[at])}`, `  + ${shown(actual[at])}`];
    return `line ${at + 1}:\n${lines.join("\n")}`;
  }
  return null;
}

function shown(line: string | undefined): string {
  if (line === undefined) return "(nothing more)";
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
