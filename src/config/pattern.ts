/**
 * Regular expressions as Pgpool-II's parameters have them: POSIX extended, for the whole text, in
 * any case. They are matched in time that grows with the text alone, whatever the pattern is, as
 * clients choose the texts: a backtracking matcher may be kept busy for minutes.
 *
 * Source: POSIX, "Extended Regular Expressions", and glibc's `\w \W \s \S \b \B \< \>`.
 * Different: back references are refused.
 */
import { fail, succeed, type Result } from "../base/index.ts";

export interface Pattern {
  /** As it was written. */
  readonly source: string;
  matches(text: string): boolean;
}

/** @returns why it is none, in words that follow `"..." is no regular expression: `. */
export function compilePattern(source: string): Result<Pattern, string> {
  try {
    const program: Step[] = [];
    emit(new PatternReader(source).read(), program);
    program.push({ op: "end" });
    return succeed(new Matcher(source, program));
  } catch (error) {
    if (error instanceof Malformed) return fail(error.message);
    throw error;
  }
}

class Malformed extends Error {}

type Test = (code: number) => boolean;
type Place = "start" | "end" | "edge" | "inside" | "word-start" | "word-end";

type Tree =
  | { readonly kind: "char"; readonly test: Test }
  | { readonly kind: "place"; readonly place: Place }
  | { readonly kind: "all"; readonly parts: readonly Tree[] }
  | { readonly kind: "any"; readonly parts: readonly Tree[] }
  | { readonly kind: "repeat"; readonly part: Tree; readonly min: number; readonly max: number };

/** Of a program; what a few nested repetitions would multiply beyond is refused. */
const STEPS_MAX = 5000;
const REPEATS_MAX = 1000;
const NESTED_MAX = 100;

class PatternReader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): Tree {
    const tree = this.#alternatives();
    if (this.#at < this.#text.length) throw new Malformed('a ")" has no "("');
    return tree;
  }

  #alternatives(): Tree {
    const parts = [this.#sequence()];
    while (this.#skip("|")) parts.push(this.#sequence());
    return parts.length === 1 ? (parts[0] as Tree) : { kind: "any", parts };
  }

  #sequence(): Tree {
    const parts: Tree[] = [];
    while (this.#at < this.#text.length && !this.#isNext("|") && !this.#isNext(")")) {
      parts.push(this.#repeated(this.#atom()));
    }
    return { kind: "all", parts };
  }

  #repeated(atom: Tree): Tree {
    let part = atom;
    for (;;) {
      if (this.#skip("*")) part = { kind: "repeat", part, min: 0, max: Infinity };
      else if (this.#skip("+")) part = { kind: "repeat", part, min: 1, max: Infinity };
      else if (this.#skip("?")) part = { kind: "repeat", part, min: 0, max: 1 };
      else {
        const bounds = this.#bounds();
        if (bounds === null) return part;
        part = { kind: "repeat", part, ...bounds };
      }
    }
  }

  /** `{2}`, `{2,}`, `{,3}`, `{2,3}`; any other brace stands for itself. */
  #bounds(): { min: number; max: number } | null {
    const found = /^\{(\d*)(,?)(\d*)\}/.exec(this.#text.slice(this.#at, this.#at + 16));
    if (found === null) return null;
    const [whole, low = "", comma = "", high = ""] = found;
    if (low === "" && high === "") return null;
    const min = Number(low);
    const max = comma === "" ? min : high === "" ? Infinity : Number(high);
    const isTooLarge = min > REPEATS_MAX || (max > REPEATS_MAX && max !== Infinity);
    if (isTooLarge || max < min) throw new Malformed(`"${whole}" does not count`);
    this.#at += whole.length;
    return { min, max };
  }

  #atom(): Tree {
    const char = this.#take();
    switch (char) {
      case "(":
        return this.#group();
      case "[":
        return { kind: "char", test: this.#bracket() };
      case ".":
        return { kind: "char", test: () => true };
      case "^":
        return { kind: "place", place: "start" };
      case "$":
        return { kind: "place", place: "end" };
      case "*":
      case "+":
      case "?":
        throw new Malformed(`nothing stands before "${char}"`);
      case "\\":
        return this.#escaped();
      default:
        return { kind: "char", test: isChar(char) };
    }
  }

  #group(): Tree {
    this.#depth += 1;
    if (this.#depth > NESTED_MAX) throw new Malformed("too many nested groups");
    const tree = this.#alternatives();
    if (!this.#skip(")")) throw new Malformed('a "(" is not closed');
    this.#depth -= 1;
    return tree;
  }

  #escaped(): Tree {
    if (this.#at === this.#text.length) throw new Malformed("it ends with a backslash");
    const char = this.#take();
    if (/[1-9]/.test(char)) throw new Malformed(`the back reference "\\${char}" is not supported`);
    switch (char) {
      case "w":
        return { kind: "char", test: isWord };
      case "W":
        return { kind: "char", test: (code) => !isWord(code) };
      case "s":
        return { kind: "char", test: isSpace };
      case "S":
        return { kind: "char", test: (code) => !isSpace(code) };
      case "b":
        return { kind: "place", place: "edge" };
      case "B":
        return { kind: "place", place: "inside" };
      case "<":
        return { kind: "place", place: "word-start" };
      case ">":
        return { kind: "place", place: "word-end" };
      case "`":
        return { kind: "place", place: "start" };
      case "'":
        return { kind: "place", place: "end" };
      default:
        return { kind: "char", test: isChar(char) };
    }
  }

  #bracket(): Test {
    const isNegated = this.#skip("^");
    const tests: Test[] = [];
    for (let isFirst = true; isFirst || !this.#isNext("]"); isFirst = false) {
      if (this.#at >= this.#text.length) throw new Malformed('a "[" is not closed');
      tests.push(this.#bracketItem());
    }
    this.#at += 1;
    const isAny: Test = (code) => tests.some((test) => test(code));
    return isNegated ? (code) => !isAny(code) : isAny;
  }

  #bracketItem(): Test {
    const named = /^\[:(\w*):\]/.exec(this.#text.slice(this.#at, this.#at + 16));
    if (named !== null) {
      const test = CLASSES[named[1] ?? ""];
      if (test === undefined) throw new Malformed(`there is no class "${named[0]}"`);
      this.#at += named[0].length;
      return test;
    }
    const low = this.#take();
    const isRange = this.#isNext("-") && this.#text[this.#at + 1] !== "]";
    if (!isRange || this.#at + 1 >= this.#text.length) return isChar(low);
    this.#at += 1;
    const high = this.#take();
    if (high < low) throw new Malformed(`the range "${low}-${high}" is empty`);
    return inRange(low.charCodeAt(0), high.charCodeAt(0));
  }

  #take(): string {
    const char = this.#text[this.#at] as string;
    this.#at += 1;
    return char;
  }

  #isNext(char: string): boolean {
    return this.#text[this.#at] === char;
  }

  #skip(char: string): boolean {
    const isThere = this.#isNext(char);
    if (isThere) this.#at += 1;
    return isThere;
  }
}

function isChar(char: string): Test {
  const lower = char.toLowerCase().charCodeAt(0);
  const upper = char.toUpperCase().charCodeAt(0);
  return (code) => code === lower || code === upper;
}

function inRange(low: number, high: number): Test {
  const isIn = (code: number): boolean => code >= low && code <= high;
  return (code) => isIn(code) || isIn(lowerCase(code)) || isIn(upperCase(code));
}

function lowerCase(code: number): number {
  return code >= 65 && code <= 90 ? code + 32 : code;
}

function upperCase(code: number): number {
  return code >= 97 && code <= 122 ? code - 32 : code;
}

const isDigit: Test = (code) => code >= 48 && code <= 57;
const isAlpha: Test = (code) => {
  const lower = lowerCase(code);
  return (lower >= 97 && lower <= 122) || code >= 128;
};
const isWord: Test = (code) => isAlpha(code) || isDigit(code) || code === 95;
const isSpace: Test = (code) => code === 32 || (code >= 9 && code <= 13);
const isVisible: Test = (code) => code > 32 && code !== 127;

const CLASSES: Readonly<Record<string, Test | undefined>> = {
  alnum: (code) => isAlpha(code) || isDigit(code),
  alpha: isAlpha,
  blank: (code) => code === 32 || code === 9,
  cntrl: (code) => code < 32 || code === 127,
  digit: isDigit,
  graph: isVisible,
  lower: isAlpha,
  print: (code) => isVisible(code) || code === 32,
  punct: (code) => isVisible(code) && !isAlpha(code) && !isDigit(code),
  space: isSpace,
  upper: isAlpha,
  xdigit: (code) => isDigit(code) || (lowerCase(code) >= 97 && lowerCase(code) <= 102),
};

type Step =
  | { readonly op: "char"; readonly test: Test }
  | { readonly op: "place"; readonly place: Place }
  /** Goes on at both. */
  | { readonly op: "split"; readonly to: readonly number[] }
  | { readonly op: "end" };

function emit(tree: Tree, program: Step[]): void {
  if (program.length > STEPS_MAX) throw new Malformed("it is too large");
  switch (tree.kind) {
    case "char":
      program.push({ op: "char", test: tree.test });
      return;
    case "place":
      program.push({ op: "place", place: tree.place });
      return;
    case "all":
      // Of nothing too there must be something, as it may be repeated.
      if (tree.parts.length === 0) program.push({ op: "split", to: [program.length + 1] });
      for (const part of tree.parts) emit(part, program);
      return;
    case "any":
      return emitAny(tree.parts, program);
    case "repeat":
      return emitRepeat(tree, program);
  }
}

function emitAny(parts: readonly Tree[], program: Step[]): void {
  const starts: number[] = [];
  const ends: number[][] = [];
  program.push({ op: "split", to: starts });
  for (const part of parts) {
    starts.push(program.length);
    emit(part, program);
    const to: number[] = [];
    ends.push(to);
    program.push({ op: "split", to });
  }
  for (const to of ends) to.push(program.length);
}

function emitRepeat({ part, min, max }: Tree & { kind: "repeat" }, program: Step[]): void {
  for (let i = 0; i < min; i += 1) emit(part, program);
  if (max === Infinity) {
    const start = program.length;
    const to = [start + 1];
    program.push({ op: "split", to });
    emit(part, program);
    program.push({ op: "split", to: [start] });
    to.push(program.length);
    return;
  }
  const skips: number[][] = [];
  for (let i = min; i < max; i += 1) {
    const to = [program.length + 1];
    skips.push(to);
    program.push({ op: "split", to });
    emit(part, program);
  }
  for (const to of skips) to.push(program.length);
}

/** Goes through the text once, with all places in the program that it may be at. */
class Matcher implements Pattern {
  readonly source: string;
  readonly #program: readonly Step[];
  /** The number of the round in which a place was added last. */
  readonly #addedIn: Uint32Array;
  #round = 0;

  constructor(source: string, program: readonly Step[]) {
    this.source = source;
    this.#program = program;
    this.#addedIn = new Uint32Array(program.length);
  }

  matches(text: string): boolean {
    this.#addedIn.fill(0);
    this.#round = 0;
    let places = this.#reach([0], text, 0);
    for (let at = 0; at < text.length && places.length > 0; at += 1) {
      const code = text.charCodeAt(at);
      const next: number[] = [];
      for (const place of places) {
        const step = this.#program[place] as Step;
        if (step.op === "char" && step.test(code)) next.push(place + 1);
      }
      places = this.#reach(next, text, at + 1);
    }
    return places.some((place) => this.#program[place]?.op === "end");
  }

  /** @returns where a character is needed, or the end, from there without taking a character. */
  #reach(from: number[], text: string, at: number): number[] {
    this.#round += 1;
    const found: number[] = [];
    const open = from;
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      if (this.#addedIn[place] === this.#round) continue;
      this.#addedIn[place] = this.#round;
      const step = this.#program[place] as Step;
      if (step.op === "split") open.push(...step.to);
      else if (step.op !== "place") found.push(place);
      else if (isAt(step.place, text, at)) open.push(place + 1);
    }
    return found;
  }
}

function isAt(place: Place, text: string, at: number): boolean {
  const before = at > 0 && isWord(text.charCodeAt(at - 1));
  const behind = at < text.length && isWord(text.charCodeAt(at));
  switch (place) {
    case "start":
      return at === 0;
    case "end":
      return at === text.length;
    case "edge":
      return before !== behind;
    case "inside":
      return before === behind;
    case "word-start":
      return !before && behind;
    case "word-end":
      return before && !behind;
  }
}
