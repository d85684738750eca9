import type { Result } from "../base/index.ts";
import { finding } from "./finding.ts";
import type { Finding, Place } from "./finding.ts";
import { cutLines } from "./lexer.ts";
import { directoryOf, resolvePath } from "./paths.ts";

/** A line of a file, not yet judged. */
export interface Setting {
  readonly name: string;
  readonly text: string;
  readonly place: Place;
}

/** A file may include one that includes one …, this often. Source: Pgpool-II's own limit. */
const INCLUDE_DEPTH_MAX = 10;
/** Files that include many others each would otherwise multiply without end. */
const FILES_MAX = 100;

export type ReadText = (path: string) => Result<string, string>;

/** The lines of a file and of all that it includes, in order; a wrong line is a finding. */
export function readSettings(path: string, readText: ReadText): readonly (Setting | Finding)[] {
  const main = readText(path);
  if (!main.ok) {
    const hint = "name a file that can be read with -f, or create this one";
    const message = `cannot read the configuration file: ${main.error}`;
    return [finding("error", { file: path, line: null }, message, hint)];
  }
  const reader = new Reader(readText);
  reader.take(main.value, [path]);
  return reader.entries;
}

class Reader {
  readonly entries: (Setting | Finding)[] = [];
  readonly #readText: ReadText;
  #fileCount = 1;

  constructor(readText: ReadText) {
    this.#readText = readText;
  }

  /** @param chain the file that is read and those that include it, the main file first. */
  take(text: string, chain: readonly string[]): void {
    const file = chain.at(-1) ?? "";
    for (const line of cutLines(text)) {
      const place = { file, line: line.line };
      if (line.kind === "error") {
        this.entries.push(finding("error", place, line.message, line.hint));
      } else if (line.name === "include") {
        this.#include(line.text, chain, place);
      } else {
        this.entries.push({ name: line.name, text: line.text, place });
      }
    }
  }

  #include(name: string, chain: readonly string[], place: Place): void {
    const path = resolvePath(directoryOf(place.file), name);
    const wrong = (message: string, hint: string): void => {
      this.entries.push(finding("error", place, message, hint));
    };
    if (chain.includes(path)) {
      return wrong(`"${path}" includes itself: ${[...chain, path].join(" > ")}`, "break the loop");
    }
    if (chain.length > INCLUDE_DEPTH_MAX || this.#fileCount >= FILES_MAX) {
      const limit = `${INCLUDE_DEPTH_MAX} levels and ${FILES_MAX} files`;
      return wrong(`"${path}" is not included: more than ${limit}`, "include fewer files");
    }
    const text = this.#readText(path);
    if (!text.ok) {
      const hint = "correct the name; it is relative to the directory of the including file";
      return wrong(`cannot read the included file "${path}": ${text.error}`, hint);
    }
    this.#fileCount += 1;
    this.take(text.value, [...chain, path]);
  }
}
