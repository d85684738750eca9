/**
 * Cuts the text of a pgpool.conf into settings, line by line.
 *
 *     name = value   # comment          the equals sign may be left out
 *
 * A value is a single-quoted string, a number with an optional unit glued on, or a bare word. In a
 * string a backslash and the character behind it pass through as they are: `'a\'b'` holds `a\'b`.
 * Source: Pgpool-II 4.3.5, tried. Where it lets a line pass that says nothing (`foo`, `port =`,
 * double quotes), this one says so.
 */
export type Line =
  | {
      readonly kind: "setting";
      readonly line: number;
      readonly name: string;
      readonly text: string;
    }
  | {
      readonly kind: "error";
      readonly line: number;
      readonly message: string;
      readonly hint: string | null;
    };

export function cutLines(text: string): Line[] {
  const lines: Line[] = [];
  // A byte order mark is what some editors leave at the start of a file.
  const body = text.startsWith("\uFEFF") ? text.slice(1) : text;
  for (const [index, content] of body.split("\n").entries()) {
    const cut = cutLine(content.endsWith("\r") ? content.slice(0, -1) : content, index + 1);
    if (cut !== null) lines.push(cut);
  }
  return lines;
}

const NAME = /[A-Za-z_\u0080-\uFFFF][A-Za-z0-9_\u0080-\uFFFF]*/y;
const BARE = /[A-Za-z_\u0080-\uFFFF][A-Za-z0-9_\u0080-\uFFFF._:/-]*/y;
const NUMBER = /[+-]?(?:0x[0-9A-Fa-f]+|[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[Ee][+-]?[0-9]+)?[A-Za-z]*/y;
const QUOTE_HINT = "values with other characters than letters and digits need single quotes";

function cutLine(content: string, line: number): Line | null {
  const start = skipBlanks(content, 0);
  if (atEnd(content, start)) return null;
  const wrong = (message: string, hint: string | null = null): Line => ({
    kind: "error",
    line,
    message,
    hint,
  });
  const name = match(NAME, content, start);
  if (name === null) {
    return wrong(`syntax error at "${excerpt(content, start)}"`, "a line reads: name = value");
  }
  let at = skipBlanks(content, start + name.length);
  if (content[at] === "=") at = skipBlanks(content, at + 1);
  if (atEnd(content, at)) return wrong(`${name} has no value`, "write '' for an empty one");
  const value = cutValue(content, at);
  if (value === "unterminated") {
    return wrong(`the string of ${name} has no closing quote`, "strings end on their line");
  }
  if (value === null) {
    return wrong(`syntax error in the value of ${name} at "${excerpt(content, at)}"`, QUOTE_HINT);
  }
  const rest = skipBlanks(content, value.end);
  if (!atEnd(content, rest)) {
    return wrong(
      `syntax error behind the value of ${name} at "${excerpt(content, rest)}"`,
      QUOTE_HINT,
    );
  }
  return { kind: "setting", line, name, text: value.text };
}

function cutValue(
  content: string,
  at: number,
): { text: string; end: number } | "unterminated" | null {
  if (content[at] === "'") {
    const close = closingQuote(content, at);
    return close === null ? "unterminated" : { text: content.slice(at + 1, close), end: close + 1 };
  }
  const text = match(NUMBER, content, at) ?? match(BARE, content, at);
  return text === null ? null : { text, end: at + text.length };
}

/** A quote behind a backslash closes the string only when no other quote follows on the line. */
function closingQuote(content: string, open: number): number | null {
  let escapedQuote: number | null = null;
  for (let at = open + 1; at < content.length; at += 1) {
    if (content[at] === "'") return at;
    if (content[at] !== "\\") continue;
    at += 1;
    if (content[at] === "'") escapedQuote = at;
  }
  return escapedQuote;
}

function match(pattern: RegExp, content: string, at: number): string | null {
  pattern.lastIndex = at;
  return pattern.exec(content)?.[0] ?? null;
}

function skipBlanks(content: string, from: number): number {
  let at = from;
  while (content[at] === " " || content[at] === "\t") at += 1;
  return at;
}

function atEnd(content: string, at: number): boolean {
  return at >= content.length || content[at] === "#";
}

/** Enough of the line to find the place. Never a quoted string: it may be a password. */
function excerpt(content: string, at: number): string {
  const rest = content.slice(at, at + 20);
  const quote = rest.indexOf("'");
  return quote === -1 ? rest : `${rest.slice(0, quote)}'…`;
}
