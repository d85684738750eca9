/**
 * The statements and scripts that are replayed, read from `corpus/*.sql`. A file is a list of lines:
 *
 *     # Functions                    a rule: what follows is counted under it
 *     // why                         a remark
 *     select 1                       a statement, in a session of its own
 *     > a read behind a write        a script: the lines up to the next blank one are one session
 *
 * In a statement `\n`, `\t`, `\\` stand for a line end, a tab and a backslash, and `\e` for nothing.
 * Words before it: `@bare` without the mark by which it is found in the logs, for a rule that looks
 * at the whole text; `@simple`, `@extended` in one protocol only; `@app=NAME` as this application.
 * In a script of the extended protocol: `@parse NAME TEXT`, `@run NAME` with `$1` bound. `@settle`
 * waits until the standbys have what was written.
 */

export type Protocol = "simple" | "extended";

export type Step =
  | {
      readonly kind: "statement";
      readonly text: string;
      readonly isBare: boolean;
      readonly protocols: readonly Protocol[];
    }
  /** A named statement of the extended protocol. */
  | { readonly kind: "parse"; readonly name: string; readonly text: string }
  | { readonly kind: "run"; readonly name: string }
  | { readonly kind: "settle" };

/** One session. */
export interface Unit {
  /** Unlike any other of the run: `u17`. */
  readonly id: string;
  readonly file: string;
  readonly rule: string;
  /** Of a script. */
  readonly title: string | null;
  readonly steps: readonly Step[];
  readonly protocols: readonly Protocol[];
  /** What the application calls itself, as app_name_redirect_preference_list sees it. */
  readonly application: string | null;
}

/** @param texts by the names of the files; errors: file, line and what is wrong. */
export function parseCorpus(texts: ReadonlyMap<string, string>): readonly Unit[] {
  const units: Unit[] = [];
  for (const [file, text] of texts) new FileReader(file, units).read(text);
  return units.map((unit, index) => ({ ...unit, id: `u${index}` }));
}

type Draft = { -readonly [K in keyof Unit]: Unit[K] } & { steps: Step[] };

class FileReader {
  readonly #file: string;
  readonly #units: Unit[];
  #rule: string | null = null;
  #script: Draft | null = null;
  #line = 0;

  constructor(file: string, units: Unit[]) {
    this.#file = file;
    this.#units = units;
  }

  read(text: string): void {
    for (const line of text.split("\n")) {
      this.#line += 1;
      if (line === "") this.#endScript();
      else if (line.startsWith("//")) continue;
      else if (line.startsWith("# ")) this.#startRule(line.slice(2));
      else if (line.startsWith("> ")) this.#startScript(line.slice(2));
      else this.#readStep(line);
    }
    this.#endScript();
  }

  #startRule(name: string): void {
    this.#endScript();
    this.#rule = name;
  }

  #startScript(line: string): void {
    this.#endScript();
    const words = readWords(line);
    this.#script = this.#newUnit(words, words.rest);
  }

  #readStep(line: string): void {
    const words = readWords(line);
    const step = this.#stepOf(words);
    if (this.#script !== null) {
      this.#script.steps.push(step);
      return;
    }
    const unit = this.#newUnit(words, null);
    unit.steps.push(step);
    this.#units.push(unit);
  }

  #stepOf(words: Words): Step {
    const { command, rest } = words;
    if (command === null) {
      const { isBare, protocols } = words;
      return { kind: "statement", text: unescape(rest), isBare, protocols };
    }
    if (this.#script === null) throw this.#fault(`@${command} stands in scripts only`);
    const [name = "", ...text] = rest.split(" ");
    if (command === "parse") return { kind: "parse", name, text: unescape(text.join(" ")) };
    return command === "run" ? { kind: "run", name } : { kind: "settle" };
  }

  #newUnit(words: Words, title: string | null): Draft {
    if (this.#rule === null) throw this.#fault("a statement before the first rule");
    return {
      id: "",
      file: this.#file,
      rule: this.#rule,
      title,
      steps: [],
      protocols: words.protocols,
      application: words.application,
    };
  }

  #endScript(): void {
    if (this.#script === null) return;
    if (this.#script.steps.length === 0) throw this.#fault("a script without statements");
    this.#units.push(this.#script);
    this.#script = null;
  }

  #fault(what: string): Error {
    return new Error(`${this.#file}:${this.#line}: ${what}`);
  }
}

interface Words {
  readonly isBare: boolean;
  readonly protocols: readonly Protocol[];
  readonly application: string | null;
  readonly command: "parse" | "run" | "settle" | null;
  readonly rest: string;
}

function readWords(line: string): Words {
  let isBare = false;
  let protocols: readonly Protocol[] = ["simple", "extended"];
  let application: string | null = null;
  let rest = line;
  for (;;) {
    const [word = "", ...others] = rest.split(" ");
    const value = /^@app=(.+)$/.exec(word)?.[1];
    if (word === "@bare") isBare = true;
    else if (word === "@simple" || word === "@extended") {
      protocols = [word === "@simple" ? "simple" : "extended"];
    } else if (value !== undefined) application = value;
    else if (word === "@parse" || word === "@run" || word === "@settle") {
      const command = word === "@parse" ? "parse" : word === "@run" ? "run" : "settle";
      return { isBare, protocols, application, command, rest: others.join(" ") };
    } else return { isBare, protocols, application, command: null, rest };
    rest = others.join(" ");
  }
}

function unescape(text: string): string {
  return text.replace(/\\(.)/g, (whole, letter: string) => ESCAPES[letter] ?? whole);
}

const ESCAPES: Readonly<Record<string, string | undefined>> = {
  n: "\n",
  t: "\t",
  "\\": "\\",
  e: "",
};

/** What stands behind a statement, or in a parameter, so that it is found in the logs. */
export function markOf(unit: Unit, step: number): string {
  return `${unit.id}.${step}`;
}

export const MARK = /\bu\d+\.\d+\b/;

/** Some statements of a script are for one protocol. */
export function isSkipped(step: Step, protocol: Protocol): boolean {
  return step.kind === "statement" && !step.protocols.includes(protocol);
}

/** The text that the client sends; null for steps that send none of their own. */
export function textOf(unit: Unit, index: number): string | null {
  const step = unit.steps[index];
  if (step === undefined || step.kind === "run" || step.kind === "settle") return null;
  const isBare = step.kind === "statement" && step.isBare;
  return isBare ? step.text : `${step.text} /*${markOf(unit, index)}*/`;
}
