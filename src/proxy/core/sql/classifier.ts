/**
 * Text to class, in the order of cost:
 *
 *     seen before, but for its literals   blank them, a look-up: no string is made
 *     first words tell                    a pass over the text
 *     PostgreSQL's grammar                some 30 microseconds and up
 *
 * Too long or too deep for the grammar, or refused by it: a write, which is never wrong.
 */
import { ClassTable } from "./class-table.ts";
import type { SqlClass } from "./class.ts";
import { mayBeDeep } from "./depth.ts";
import { Template } from "./template.ts";
import { classifyTree } from "./tree.ts";
import { classifyByWords, skim, SKIM_CHARS_MAX, unreadClass } from "./words.ts";

export interface ClassifierOptions {
  /** PostgreSQL's raw parser; throws when the grammar refuses the text. */
  readonly parse: (sql: string) => unknown;
  readonly cacheEntriesMax: number;
  /** Bytes of text that the cache may hold; 4 MiB unless given. */
  readonly cacheBytesMax?: number;
  /** Longer texts are decided by the lexer alone: a write when it is not sure. */
  readonly parseBytesMax: number;
  /** A random number, so that nobody can prepare texts whose look-up is slow; 0 unless given. */
  readonly hashSeed?: number;
}

/** The class of the text that lies at `start` to `end`. */
export type ClassifyBytes = (input: Uint8Array, start: number, end: number) => SqlClass;

export interface Classifier {
  /** Never throws. */
  classify(text: string): SqlClass;
  /**
   * The same for the text that lies at `start` to `end`, in UTF-8 or not. A text that was seen
   * before, but for its literals, costs no object and no string.
   */
  classifyBytes(input: Uint8Array, start: number, end: number): SqlClass;
  /**
   * Null while the parser is sound. Else what it threw that no grammar would: it may be damaged,
   * is not called again, and every statement it would have read counts as a write from then on.
   * The owner should end the process when its sessions are over.
   */
  readonly parserFault: string | null;
}

export function createClassifier(options: ClassifierOptions): Classifier {
  return new CachingClassifier(options);
}

/** A character more than is looked over tells that there is more; it may take three bytes. */
const LOOKED_OVER_BYTES_MAX = 3 * (SKIM_CHARS_MAX + 1);
const CACHE_BYTES_MAX = 4 * 1024 * 1024;
/** Kept under the template, for all texts alike. */
const ALIKE = 0;
/** Kept under the very text. */
const THIS_TEXT = 1;

class CachingClassifier implements Classifier {
  readonly #options: ClassifierOptions;
  readonly #table: ClassTable<SqlClass>;
  readonly #template: Template;
  #parserFault: string | null = null;

  constructor(options: ClassifierOptions) {
    this.#options = options;
    this.#template = new Template(options.parseBytesMax);
    this.#table = new ClassTable({
      entriesMax: options.cacheEntriesMax,
      bytesMax: options.cacheBytesMax ?? CACHE_BYTES_MAX,
      hashSeed: options.hashSeed ?? 0,
    });
  }

  get parserFault(): string | null {
    return this.#parserFault;
  }

  classify(text: string): SqlClass {
    const bytes = Buffer.from(text, "utf8");
    return this.classifyBytes(bytes, 0, bytes.length);
  }

  classifyBytes(input: Uint8Array, start: number, end: number): SqlClass {
    if (end - start > this.#options.parseBytesMax) {
      // The beginning says as much as is looked at.
      const stop = Math.min(end, start + LOOKED_OVER_BYTES_MAX);
      return this.#decide(textOf(input, start, stop));
    }
    const template = this.#template;
    template.take(input, start, Math.max(start, end));
    return this.#table.get(template, ALIKE) ?? this.#classifyNew(input, start, end);
  }

  #classifyNew(input: Uint8Array, start: number, end: number): SqlClass {
    const template = this.#template;
    const table = this.#table;
    template.takeRaw(input, start, end);
    const known = table.get(template, THIS_TEXT);
    if (known !== undefined) return known;
    const text = textOf(input, start, end);
    const decided = this.#decide(text);
    // What the grammar refuses, or never gets, may depend on a literal.
    if (decided.kind === "unparsable" || text.includes("\0")) {
      table.put(template, THIS_TEXT, decided);
    } else {
      template.take(input, start, end);
      table.put(template, ALIKE, decided);
    }
    return decided;
  }

  #decide(text: string): SqlClass {
    const seen = skim(text);
    const byWords = seen.multi ? null : classifyByWords(seen);
    if (byWords !== null) return byWords;
    const mayParse =
      this.#parserFault === null &&
      !this.#isTooLong(text) &&
      !text.includes("\0") &&
      !mayBeDeep(text);
    if (!mayParse) return unreadClass(seen, "write");
    try {
      return classifyTree(this.#options.parse(text), seen);
    } catch (error) {
      if (isDamage(error)) this.#parserFault = String(error);
      return unreadClass(seen, "unparsable");
    }
  }

  #isTooLong(text: string): boolean {
    const { parseBytesMax } = this.#options;
    if (text.length > parseBytesMax) return true;
    return text.length * 3 > parseBytesMax && Buffer.byteLength(text, "utf8") > parseBytesMax;
  }
}

function textOf(input: Uint8Array, start: number, end: number): string {
  return Buffer.from(input.buffer, input.byteOffset + start, end - start).toString("utf8");
}

/** A stack overflow or a trap inside the parser; a refusal is an error of the parser's own. */
function isDamage(error: unknown): boolean {
  if (!(error instanceof Error)) return true;
  return error instanceof RangeError || error instanceof TypeError || error.name === "RuntimeError";
}
