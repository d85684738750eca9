/**
 * How deep the tree of a text can become at most. PostgreSQL's grammar, compiled to WebAssembly,
 * has no stack check in the step that prints its tree: a text like `1+1+1+...` of some ten
 * thousand terms ends in a stack overflow that damages the parser for good. So texts that could
 * become deep are never given to it.
 *
 * The bound counts the tokens since the last separator, summed over the open brackets. Separators
 * (comma, AND, OR, WHEN ...) make lists, which are flat. Words that chain whole clauses (JOIN,
 * UNION ...) count until their bracket closes.
 */
import { Lexer } from "./lexer.ts";

/** Real statements stay far below; half of a default stack holds several times as much. */
export const DEPTH_MAX = 1000;

export function mayBeDeep(text: string): boolean {
  // Each level takes a character at least, and a deep text needs many.
  if (text.length <= DEPTH_MAX) return false;
  const lexer = new Lexer(text);
  let level: Level = { outer: null, tokens: 0, chain: 0 };
  let depth = 0;
  while (lexer.next() !== "end") {
    const value = lexer.kind === "word" || lexer.kind === "symbol" ? lexer.value : "";
    depth++;
    level.tokens++;
    if (OPENING.has(value)) level = { outer: level, tokens: 0, chain: 0 };
    else if (CLOSING.has(value)) {
      depth -= level.tokens + level.chain;
      level = level.outer ?? { outer: null, tokens: 0, chain: 0 };
    } else if (value === ";") {
      depth -= level.tokens + level.chain;
      level.tokens = level.chain = 0;
    } else if (SEPARATING.has(value)) {
      depth -= level.tokens;
      level.tokens = 0;
    } else if (CHAINING.has(value)) {
      depth++;
      level.chain++;
    }
    if (depth > DEPTH_MAX) return true;
  }
  return false;
}

interface Level {
  readonly outer: Level | null;
  /** Since the last separator. */
  tokens: number;
  /** Since the level was opened. */
  chain: number;
}

const OPENING = new Set(["(", "[", "case"]);
const CLOSING = new Set([")", "]", "end"]);
const SEPARATING = new Set([",", "and", "or", "when", "then", "else"]);
const CHAINING = new Set(["join", "union", "intersect", "except"]);
