import type { Lexer } from "../sql/index.ts";

/** The next word as a name, in lower case. */
export function nameIn(lexer: Lexer): string | null {
  lexer.next();
  const isName = lexer.kind === "word" || lexer.kind === "quoted-identifier";
  return isName ? lexer.value.toLowerCase() : null;
}

/** A word, a number with a unit or a sign, or a string. */
export function valueIn(lexer: Lexer): string | null {
  const sign = lexer.isSymbol("-") || lexer.isSymbol("+") ? lexer.value : "";
  if (sign !== "") lexer.next();
  const raw = lexer.text.slice(lexer.start, lexer.end);
  switch (lexer.kind) {
    case "number":
      return `${sign}${raw}`;
    case "word":
    case "quoted-identifier":
      return sign === "" ? lexer.value : null;
    case "string":
      return sign === "" && raw.startsWith("'") ? raw.slice(1, -1).replaceAll("''", "'") : null;
    case "parameter":
    case "symbol":
    case "end":
      return null;
  }
}

/** Nothing follows but semicolons. */
export function isOver(lexer: Lexer): boolean {
  do lexer.next();
  while (lexer.isSymbol(";"));
  return lexer.kind === "end";
}
