/**
 * The text with its plain literals blanked: `aid = 4711` becomes `aid = 0`, `'bob'` becomes `''`.
 * What a statement does hardly ever depends on them, so texts that differ there alone share one
 * answer, and are parsed once.
 *
 * One pass over the bytes as they came from the client, without a string being made. UTF-8 or not:
 * a byte above 127 is a part of a word, whatever it means.
 */
import { assert } from "../../../base/index.ts";
import { isBlank, isDigit, isWordPart } from "./lexer.ts";

/** Room for one text, used again by the next one. */
export class Template {
  /** What `take` left, followed by zeros to the end of a word. */
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  lengthBytes = 0;

  /** @param bytesMax of a text. */
  constructor(bytesMax: number) {
    const words = Math.ceil(bytesMax / WORD_BYTES) + 1;
    this.words = new Int32Array(words);
    this.bytes = new Uint8Array(this.words.buffer);
  }

  get wordCount(): number {
    return (this.lengthBytes + WORD_BYTES - 1) >>> 2;
  }

  /**
   * Blanks the text unless that is not surely harmless: other statements than SELECT, INSERT,
   * UPDATE, DELETE and WITH (in `SET x = 'off'` the literal matters), comments, dollar quotes,
   * backslashes, prefixed strings. Such a text is taken as it is. The first argument of a function
   * whose name ends in "g", or in quotes, stays: it may be the parameter that set_config sets.
   */
  take(input: Uint8Array, start: number, end: number): void {
    if (startsWell(input, start, end) && this.#blank(input, start, end)) return;
    this.takeRaw(input, start, end);
  }

  takeRaw(input: Uint8Array, start: number, end: number): void {
    const { bytes } = this;
    assert(end - start < bytes.length, "a text fits into the room for it");
    for (let at = start; at < end; at++) bytes[at - start] = input[at] as number;
    this.#close(end - start);
  }

  /** @returns false when the text cannot be blanked. */
  #blank(input: Uint8Array, start: number, end: number): boolean {
    const { bytes } = this;
    const roles = ROLES;
    assert(end - start < bytes.length, "a text fits into the room for it");
    // A template is never longer than its text: a literal takes as many bytes as its blank at least.
    let length = 0;
    let at = start;
    while (at < end) {
      const code = input[at] as number;
      if (isSurelyPlain(code)) {
        const stop = copyPlain(bytes, length, input, at, end);
        length += stop - at;
        at = stop;
        continue;
      }
      const role = roles[code];
      if (role === PLAIN || (role === DIGIT && isInside(input[at - 1] as number))) {
        bytes[length] = code;
        length++;
        at++;
        continue;
      }
      let stop = at + 1;
      let isBlanked = false;
      if (role === DIGIT) {
        while (stop < end && ROLES[input[stop] as number] === DIGIT) stop++;
        isBlanked = stop === end || !isInside(input[stop] as number);
      } else if (role === QUOTE) {
        const before = input[at - 1] as number;
        stop = endOfPlainString(input, at, end);
        if (stop < 0 || isWordPart(before) || before === AMPERSAND) return false;
        isBlanked = !namesSetting(input, at);
        if (isBlanked) bytes[length++] = QUOTE;
      } else if (role === DOUBLE_QUOTE) {
        // A doubled quote inside opens again at once.
        while (stop < end && input[stop] !== DOUBLE_QUOTE) stop++;
        if (stop++ >= end) return false;
      } else if (role === DOLLAR) {
        if (stop >= end || !isDigit(input[stop] as number)) return false;
      } else if (stop < end && input[stop] === (role === SLASH ? STAR : MINUS)) {
        return false;
      }
      if (isBlanked) bytes[length++] = role === DIGIT ? ZERO : QUOTE;
      else for (let i = at; i < stop; i++) bytes[length++] = input[i] as number;
      at = stop;
    }
    this.#close(length);
    return true;
  }

  #close(length: number): void {
    this.lengthBytes = length;
    // So that words can be compared.
    for (let at = length; at % WORD_BYTES !== 0; at++) this.bytes[at] = 0;
  }
}

/** Letters and blanks: nearly all there is, and no look-up is needed to know it. */
function isSurelyPlain(code: number): boolean {
  return code > NINE || code < DOUBLE_QUOTE;
}

/**
 * Copies what is surely plain from `at` on. A function of its own, as the whole cost is in this
 * loop, and alone it is compiled to half the instructions.
 *
 * @returns where it ends.
 */
function copyPlain(
  bytes: Uint8Array,
  length: number,
  input: Uint8Array,
  at: number,
  end: number,
): number {
  const shift = length - at;
  let stop = at;
  for (; stop < end; stop++) {
    const code = input[stop] as number;
    if (!isSurelyPlain(code)) return stop;
    bytes[stop + shift] = code;
  }
  return stop;
}

const WORD_BYTES = 4;
const DOUBLE_QUOTE = 34;
const DOLLAR = 36;
const AMPERSAND = 38;
const QUOTE = 39;
const OPENING_BRACKET = 40;
const STAR = 42;
const MINUS = 45;
const DOT = 46;
const SLASH = 47;
const ZERO = 48;
const NINE = 57;
const BACKSLASH = 92;
const LETTER_G = 103;
const LOWER_CASE = 0x20;

/** What a byte may be the beginning of; itself when it is just that one. */
const PLAIN = 0;
const DIGIT = 1;
const ROLES = (() => {
  const roles = new Uint8Array(256);
  for (let code = 0; code < 256; code++) if (isDigit(code)) roles[code] = DIGIT;
  for (const code of [DOUBLE_QUOTE, DOLLAR, QUOTE, MINUS, SLASH]) roles[code] = code;
  return roles;
})();

const FIRST_WORDS = ["select", "insert", "update", "delete", "with"].map((word) =>
  Buffer.from(word, "latin1"),
);

function startsWell(input: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end && isBlank(input[at] as number)) at++;
  for (const word of FIRST_WORDS) {
    if (((input[at] as number) | LOWER_CASE) !== word[0] || at + word.length > end) continue;
    let i = 1;
    while (i < word.length && ((input[at + i] as number) | LOWER_CASE) === word[i]) i++;
    if (i < word.length) return false;
    return at + i === end || !isWordPart(input[at + i] as number);
  }
  return false;
}

/** @returns what follows the closing quote, or -1 when it is not plain or not closed. */
function endOfPlainString(input: Uint8Array, start: number, end: number): number {
  for (let at = start + 1; at < end; at++) {
    const code = input[at];
    if (code === BACKSLASH) return -1;
    if (code === QUOTE) {
      if (at + 1 === end || input[at + 1] !== QUOTE) return at + 1;
      at++;
    }
  }
  return -1;
}

/** A digit beside it is a part of `a1`, `$1`, `1.5`, `0x1F` or `1e5`, and no number of its own. */
function isInside(code: number): boolean {
  return isWordPart(code) || code === DOT;
}

/** The string may be the name in `set_config('name', ...)`, which is not blanked. */
function namesSetting(input: Uint8Array, quote: number): boolean {
  // The first word of the text ends the search.
  let at = quote - 1;
  while (isBlank(input[at] as number)) at--;
  if (input[at] !== OPENING_BRACKET) return false;
  do at--;
  while (isBlank(input[at] as number));
  const last = input[at] as number;
  return (last | LOWER_CASE) === LETTER_G || last === DOUBLE_QUOTE;
}
