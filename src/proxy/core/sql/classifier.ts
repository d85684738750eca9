/**
 * Text to class, in the order of cost:
 *
 *     text seen before            a look-up
 *     same but for its literals   blank them, a look-up
 *     first words tell            a pass over the text
 *     PostgreSQL's grammar        some 30 microseconds and up
 *
 * Too long or too deep for the grammar, or refused by it: a write, which is never wrong.
 */
import { TextCache } from "./cache.ts";
import type { SqlClass } from "./class.ts";
import { mayBeDeep } from "./depth.ts";
import { templateOf } from "./template.ts";
import { classifyTree } from "./tree.ts";
import { classifyByWords, skim, unreadClass } from "./words.ts";

export interface ClassifierOptions {
  /** PostgreSQL's raw parser; throws when the grammar refuses the text. */
  readonly parse: (sql: string) => unknown;
  readonly cacheEntriesMax: number;
  /** UTF-16 units of text that the cache may hold; 4 Mi unless given. */
  readonly cacheCharsMax?: number;
  /** Longer texts are decided by the lexer alone: a write when it is not sure. */
  readonly parseBytesMax: number;
}

export interface Classifier {
  /** Never throws. */
  classify(text: string): SqlClass;
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

const CACHE_CHARS_MAX = 4 * 1024 * 1024;

class CachingClassifier implements Classifier {
  readonly #options: ClassifierOptions;
  readonly #cache: TextCache<SqlClass>;
  #parserFault: string | null = null;

  constructor(options: ClassifierOptions) {
    this.#options = options;
    this.#cache = new TextCache(options.cacheEntriesMax, options.cacheCharsMax ?? CACHE_CHARS_MAX);
  }

  get parserFault(): string | null {
    return this.#parserFault;
  }

  classify(text: string): SqlClass {
    if (this.#isTooLong(text)) return this.#decide(text);
    const known = this.#cache.get(text);
    if (known !== undefined) return known;
    const template = templateOf(text);
    if (template !== null) {
      const alike = this.#cache.get(template);
      if (alike !== undefined) return alike;
    }
    const decided = this.#decide(text);
    // What the grammar refuses may depend on a literal: only this very text is refused.
    const key = decided.kind === "unparsable" ? text : (template ?? text);
    this.#cache.put(key, decided);
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

/** A stack overflow or a trap inside the parser; a refusal is an error of the parser's own. */
function isDamage(error: unknown): boolean {
  if (!(error instanceof Error)) return true;
  return error instanceof RangeError || error instanceof TypeError || error.name === "RuntimeError";
}
