import { Lexer } from "./lexer.ts";

/** Instead of a password. */
const MASK = "'*****'";

/**
 * The text without what stands in it as a password: `PASSWORD 'x'` as in ALTER ROLE and in the
 * OPTIONS of a user mapping, and `password=x` in a connection string. For logs.
 */
export function withoutPasswords(text: string): string {
  if (!/password/i.test(text)) return text;
  const lexer = new Lexer(text);
  let shown = "";
  let from = 0;
  let isAfterPassword = false;
  for (lexer.next(); lexer.kind !== "end"; lexer.next()) {
    if (lexer.kind === "string") {
      const raw = text.slice(lexer.start, lexer.end);
      const kept = isAfterPassword ? MASK : raw.replaceAll(IN_CONNECTION, "$1*****");
      shown += text.slice(from, lexer.start) + kept;
      from = lexer.end;
    }
    isAfterPassword = lexer.isWord("password") || (isAfterPassword && isPrefix(lexer));
  }
  return shown + text.slice(from);
}

/** Also quoted twice, as within another string. */
const IN_CONNECTION = /(password\s*=\s*)(?:''(?:[^'\\]|\\.)*''|[^\s'";]+)/gi;

/** `U&` before a string is three tokens. */
function isPrefix(lexer: Lexer): boolean {
  return lexer.isWord("u") || lexer.isSymbol("&");
}
