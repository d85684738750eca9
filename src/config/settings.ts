import type { Config, Value } from "./config.ts";
import { finding } from "./finding.ts";
import type { Finding, Place } from "./finding.ts";
import { resolveName } from "./names.ts";
import type { Setting } from "./read.ts";
import { parseValue } from "./values.ts";

/** Characters of a wrong name or value that are repeated in the message about it. */
const EXCERPT_MAX = 80;

interface Entry {
  readonly place: Place;
  /** Null when the text was refused: a finding says so, and no check speaks of it again. */
  readonly value: Value | null;
}

/** What the files say, name by name; the later line wins. */
export class Settings {
  readonly #entries = new Map<string, Entry>();

  /** Judges each line by itself; every one is judged, also after a wrong one. */
  static from(lines: readonly (Setting | Finding)[]): {
    settings: Settings;
    findings: readonly Finding[];
  } {
    const settings = new Settings();
    const findings = lines.flatMap((line) => ("level" in line ? [line] : settings.#take(line)));
    return { settings, findings };
  }

  /** The value that a file gives; undefined when none does or when it was refused. */
  value(key: string): Value | undefined {
    return this.#entries.get(key)?.value ?? undefined;
  }

  /** A line names it, be its value right or wrong. */
  isWritten(key: string): boolean {
    return this.#entries.has(key);
  }

  /** A line names it, but its value was wrong. */
  isRefused(key: string): boolean {
    return this.#entries.get(key)?.value === null;
  }

  placeOf(key: string): Place | null {
    return this.#entries.get(key)?.place ?? null;
  }

  /** Keys that some line names. */
  keys(): ReadonlySet<string> {
    return new Set(this.#entries.keys());
  }

  /** Numbers that occur behind any of these names, ascending. */
  numbersOf(names: readonly string[]): readonly number[] {
    const numbers = new Set<number>();
    for (const key of this.#entries.keys()) {
      const [, base = "", digits = ""] = /^(.*?)([0-9]+)$/.exec(key) ?? [];
      if (names.includes(base)) numbers.add(Number(digits));
    }
    return [...numbers].sort((left, right) => left - right);
  }

  #take({ name, text, place }: Setting): readonly Finding[] {
    const meaning = resolveName(name);
    switch (meaning.kind) {
      case "unknown": {
        const hint = meaning.nearest === null ? null : `did you mean "${meaning.nearest}"?`;
        return [
          finding(
            "warning",
            place,
            `unknown parameter "${name.slice(0, EXCERPT_MAX)}" is ignored`,
            hint,
          ),
        ];
      }
      case "dropped":
        return [finding("warning", place, `"${name}" is no longer used`, meaning.hint)];
      case "wrong-number":
        return [finding("error", place, `"${name}" ${meaning.expected}`)];
      case "parameter":
        break;
    }
    const { key, row, renamedTo } = meaning;
    const parsed = parseValue(row, text);
    this.#entries.set(key, { place, value: parsed.ok ? parsed.value : null });
    const findings: Finding[] = [];
    if (renamedTo !== null) {
      const message = `"${name}" is an older name and is taken as "${renamedTo}"`;
      findings.push(finding("warning", place, message, `write "${renamedTo}"`));
    }
    if (!parsed.ok) {
      const shown = row.type === "secret" ? "value" : `value "${text.slice(0, EXCERPT_MAX)}"`;
      const message = `invalid ${shown} for "${name}"`;
      findings.push(finding("error", place, message, parsed.error));
    }
    return findings;
  }
}

/** The line of the first of these keys that is written; else the file as a whole. */
export function placeOf(config: Config, settings: Settings, ...keys: readonly string[]): Place {
  const written = keys.find((key) => settings.isWritten(key));
  const place = written === undefined ? null : settings.placeOf(written);
  return place ?? { file: config.files.config, line: null };
}
