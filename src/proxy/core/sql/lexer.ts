/**
 * Cuts SQL text into PostgreSQL's tokens, as far as finding words, nesting and statement ends
 * needs it. It accepts every text: what is not closed ends with the text.
 *
 * Source: PostgreSQL manual, "Lexical Structure" (standard_conforming_strings on).
 */
export type TokenKind =
  | "word"
  | "quoted-identifier"
  | "string"
  | "number"
  | "parameter"
  /** One character of an operator or of punctuation. */
  | "symbol"
  | "end";

const TAB = 9;
const CARRIAGE_RETURN = 13;
const SPACE = 32;
const DOUBLE_QUOTE = 34;
const DOLLAR = 36;
const QUOTE = 39;
const STAR = 42;
const MINUS = 45;
const DOT = 46;
const SLASH = 47;
const BACKSLASH = 92;

export class Lexer {
  readonly text: string;
  kind: TokenKind = "end";
  /** The token is `text.slice(start, end)`. */
  start = 0;
  end = 0;
  /** A comment stood before the token. */
  afterComment = false;

  constructor(text: string) {
    this.text = text;
  }

  /** Steps to the next token; at the end of the text `kind` is, and stays, "end". */
  next(): TokenKind {
    this.#skipBlanks();
    this.start = this.end;
    this.kind = this.#read();
    return this.kind;
  }

  /** Lower case for a word, unquoted for an identifier in quotes; else as written. */
  get value(): string {
    const raw = this.text.slice(this.start, this.end);
    if (this.kind === "word") return raw.toLowerCase();
    if (this.kind === "quoted-identifier") return raw.slice(1, -1).replaceAll('""', '"');
    return raw;
  }

  isWord(word: string): boolean {
    return this.kind === "word" && this.end - this.start === word.length && this.value === word;
  }

  isSymbol(symbol: string): boolean {
    return this.kind === "symbol" && this.text.startsWith(symbol, this.start);
  }

  #skipBlanks(): void {
    const { text } = this;
    this.afterComment = false;
    let at = this.end;
    for (;;) {
      while (isBlank(text.charCodeAt(at))) at++;
      if (text.charCodeAt(at) === MINUS && text.charCodeAt(at + 1) === MINUS) {
        at = endOfLine(text, at);
      } else if (text.charCodeAt(at) === SLASH && text.charCodeAt(at + 1) === STAR) {
        at = endOfBlockComment(text, at);
      } else break;
      this.afterComment = true;
    }
    this.end = at;
  }

  #read(): TokenKind {
    const { text, start } = this;
    if (start >= text.length) return "end";
    const code = text.charCodeAt(start);
    const following = text.charCodeAt(start + 1);
    if (isWordStart(code)) {
      if (following === QUOTE && /[bBeEnNxX]/.test(text.charAt(start))) {
        const hasEscapes = code === 69 || code === 101; // E'...'
        this.end = endOfQuoted(text, start + 1, QUOTE, hasEscapes);
        return "string";
      }
      this.end = endOfWord(text, start);
      return "word";
    }
    if (isDigit(code) || (code === DOT && isDigit(following))) {
      this.end = endOfNumber(text, start);
      return "number";
    }
    if (code === QUOTE || code === DOUBLE_QUOTE) {
      this.end = endOfQuoted(text, start, code, false);
      return code === QUOTE ? "string" : "quoted-identifier";
    }
    if (code === DOLLAR) return this.#readDollar();
    this.end = start + 1;
    return "symbol";
  }

  #readDollar(): TokenKind {
    const { text, start } = this;
    if (isDigit(text.charCodeAt(start + 1))) {
      this.end = endOfWord(text, start + 1);
      return "parameter";
    }
    DOLLAR_TAG.lastIndex = start;
    const tag = DOLLAR_TAG.exec(text)?.[0];
    if (tag === undefined) {
      this.end = start + 1;
      return "symbol";
    }
    const close = text.indexOf(tag, start + tag.length);
    this.end = close < 0 ? text.length : close + tag.length;
    return "string";
  }
}

const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;

export function isBlank(code: number): boolean {
  return code === SPACE || (code >= TAB && code <= CARRIAGE_RETURN);
}

export function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function isWordStart(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95 || code >= 128;
}

/** May stand inside an identifier. */
export function isWordPart(code: number): boolean {
  return isWordStart(code) || isDigit(code) || code === DOLLAR;
}

function endOfWord(text: string, start: number): number {
  let at = start + 1;
  while (isWordPart(text.charCodeAt(at))) at++;
  return at;
}

/** `1e-5` is one number; a sign elsewhere is an operator. */
function endOfNumber(text: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const code = text.charCodeAt(at);
    const isExponentSign = (code === MINUS || code === 43) && /[eE]/.test(text.charAt(at - 1));
    if (!isWordPart(code) && code !== DOT && !isExponentSign) return at;
    at++;
  }
}

function endOfQuoted(text: string, start: number, quote: number, hasEscapes: boolean): number {
  let at = start + 1;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (hasEscapes && code === BACKSLASH) at++;
    else if (code === quote) {
      if (text.charCodeAt(at + 1) !== quote) return at + 1;
      at++;
    }
  }
  return text.length;
}

function endOfLine(text: string, start: number): number {
  let at = start;
  while (at < text.length && text.charCodeAt(at) !== 10 && text.charCodeAt(at) !== 13) at++;
  return at;
}

/** Block comments nest in PostgreSQL. */
function endOfBlockComment(text: string, start: number): number {
  let depth = 1;
  let at = start + 2;
  for (; at < text.length && depth > 0; at++) {
    const code = text.charCodeAt(at);
    const following = text.charCodeAt(at + 1);
    if (code === SLASH && following === STAR) {
      depth++;
      at++;
    } else if (code === STAR && following === SLASH) {
      depth--;
      at++;
    }
  }
  return Math.min(at, text.length);
}
