/** What `Template` does to bytes, done to characters, as plainly as can be: to compare with. */
import { isBlank, isDigit, isWordPart } from "../../../../../src/proxy/core/sql/lexer.ts";

/** Null when the text is kept as it is. */
export function templateOfText(text: string): string | null {
  if (!STARTS_WELL.test(text)) return null;
  let template = "";
  let copied = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfPlainString(text, at);
      if (end < 0 || isWordPart(text.charCodeAt(at - 1)) || text.charCodeAt(at - 1) === AMPERSAND) {
        return null;
      }
      if (!namesSetting(text, at)) {
        template += `${text.slice(copied, at)}''`;
        copied = end;
      }
      at = end - 1;
    } else if (isDigit(code)) {
      const end = endOfDigits(text, at);
      if (isPlainInteger(text, at, end)) {
        template += `${text.slice(copied, at)}0`;
        copied = end;
      }
      at = end - 1;
    } else if (code === DOUBLE_QUOTE) {
      const close = text.indexOf('"', at + 1);
      if (close < 0) return null;
      at = close; // A doubled quote inside opens again at once.
    } else if (code === DOLLAR && !isDigit(text.charCodeAt(at + 1))) return null;
    else if (code === MINUS && text.charCodeAt(at + 1) === MINUS) return null;
    else if (code === SLASH && text.charCodeAt(at + 1) === STAR) return null;
  }
  return copied === 0 ? null : template + text.slice(copied);
}

/** The string may be the name in `set_config('name', ...)`, which is not blanked. */
function namesSetting(text: string, quote: number): boolean {
  let at = quote - 1;
  while (isBlank(text.charCodeAt(at))) at--;
  if (text.charCodeAt(at) !== OPENING_BRACKET) return false;
  do at--;
  while (isBlank(text.charCodeAt(at)));
  const last = text.charCodeAt(at);
  return (last | 0x20) === LETTER_G || last === DOUBLE_QUOTE;
}

const STARTS_WELL = /^[ \t-\r]*(?:select|insert|update|delete|with)(?![\w$\u0080-\uffff])/i;
const DOUBLE_QUOTE = 34;
const DOLLAR = 36;
const AMPERSAND = 38;
const QUOTE = 39;
const OPENING_BRACKET = 40;
const STAR = 42;
const MINUS = 45;
const DOT = 46;
const SLASH = 47;
const BACKSLASH = 92;
const LETTER_G = 103;

function endOfPlainString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) return -1;
    if (code === QUOTE) {
      if (text.charCodeAt(at + 1) !== QUOTE) return at + 1;
      at++;
    }
  }
  return -1;
}

function endOfDigits(text: string, start: number): number {
  let at = start + 1;
  while (isDigit(text.charCodeAt(at))) at++;
  return at;
}

/** Not a part of `a1`, `$1`, `1.5`, `0x1F` or `1e5`. */
function isPlainInteger(text: string, start: number, end: number): boolean {
  const before = text.charCodeAt(start - 1);
  const after = text.charCodeAt(end);
  return !isWordPart(before) && before !== DOT && !isWordPart(after) && after !== DOT;
}
