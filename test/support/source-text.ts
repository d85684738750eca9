/**
 * TypeScript text without what is not code, so that a word in a comment or a message is not taken
 * for a call. Knows comments, strings, templates and regular expressions; no more of the grammar.
 */
export interface CodeText {
  /** Comments blanked. */
  readonly withStrings: string;
  /** Comments, and what stands between quotes, blanked. */
  readonly bare: string;
}

/** What may stand before a slash that begins a regular expression rather than divides. */
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\breturn|\bcase|\btypeof)\s*$/;

export function stripSource(source: string): CodeText {
  let withStrings = "";
  let bare = "";
  let at = 0;
  const take = (end: number, keep: "code" | "string" | "none"): void => {
    const text = source.slice(at, end);
    const blank = text.replaceAll(/[^\n]/g, " ");
    withStrings += keep === "none" ? blank : text;
    bare += keep === "code" ? text : blank;
    at = end;
  };
  /** The brace depths at which a template's `${` was opened. */
  const templates: number[] = [];
  let depth = 0;
  while (at < source.length) {
    const two = source.slice(at, at + 2);
    const one = source.charAt(at);
    if (two === "//") take(endOf(source, /\n|$/g, at), "none");
    else if (two === "/*") take(endAfter(source, "*/", at + 2), "none");
    else if (one === '"' || one === "'") take(endOfQuoted(source, one, at + 1), "string");
    else if (one === "`" || (one === "}" && templates.at(-1) === depth)) {
      if (one === "}") templates.pop();
      const end = endOfTemplatePart(source, at + 1);
      if (source.slice(end - 2, end) === "${") templates.push(depth);
      take(end, "string");
    } else if (one === "/" && BEFORE_REGEX.test(bare.slice(-40))) {
      take(endOfRegex(source, at + 1), "string");
    } else {
      if (one === "{") depth += 1;
      if (one === "}") depth -= 1;
      take(at + 1, "code");
    }
  }
  return { withStrings, bare };
}

function endOf(source: string, pattern: RegExp, from: number): number {
  pattern.lastIndex = from;
  return pattern.exec(source)?.index ?? source.length;
}

function endAfter(source: string, mark: string, from: number): number {
  const found = source.indexOf(mark, from);
  return found === -1 ? source.length : found + mark.length;
}

function endOfQuoted(source: string, quote: string, from: number): number {
  let at = from;
  while (at < source.length && source.charAt(at) !== quote)
    at += source.charAt(at) === "\\" ? 2 : 1;
  return at + 1;
}

/** Behind the closing backtick, or behind the `${` that interrupts the text. */
function endOfTemplatePart(source: string, from: number): number {
  for (let at = from; at < source.length; at += 1) {
    if (source.charAt(at) === "\\") at += 1;
    else if (source.charAt(at) === "`") return at + 1;
    else if (source.slice(at, at + 2) === "${") return at + 2;
  }
  return source.length;
}

function endOfRegex(source: string, from: number): number {
  let isInClass = false;
  for (let at = from; at < source.length; at += 1) {
    const one = source.charAt(at);
    if (one === "\\") at += 1;
    else if (one === "[") isInClass = true;
    else if (one === "]") isInClass = false;
    else if (one === "/" && !isInClass) return at + 1;
    else if (one === "\n") return at; // Not a regular expression after all.
  }
  return source.length;
}
