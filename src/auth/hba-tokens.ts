/**
 * The text of pool_hba.conf as fields. A field is a list: commas join tokens, blanks around a
 * comma included, as PostgreSQL reads its pg_hba.conf.
 */
import { fail, succeed, type Result } from "../base/index.ts";

export interface HbaToken {
  readonly text: string;
  /** Started with a quote: never a keyword. */
  readonly quoted: boolean;
}

/** The fields of one line, none for an empty or comment line; or what is wrong with it. */
export function splitFields(line: string): Result<HbaToken[][], string> {
  const fields: HbaToken[][] = [];
  let position = 0;
  let joinsPrevious = false;
  for (;;) {
    while (position < line.length && /[\s,]/.test(line.charAt(position))) {
      if (line.charAt(position) === ",") joinsPrevious = true;
      position++;
    }
    if (position >= line.length || line.charAt(position) === "#") return succeed(fields);
    const start = position;
    const token = readToken(line, start);
    if (token === null) return fail("a quoted name has no closing quote");
    position = token.end;
    const field = joinsPrevious ? fields.at(-1) : undefined;
    const value = { text: token.text, quoted: line.charAt(start) === '"' };
    if (field === undefined) fields.push([value]);
    else field.push(value);
    joinsPrevious = false;
  }
}

function readToken(line: string, start: number): { text: string; end: number } | null {
  let text = "";
  let inQuotes = false;
  let position = start;
  for (; position < line.length; position++) {
    const char = line.charAt(position);
    if (char === '"') inQuotes = !inQuotes;
    else if (!inQuotes && /[\s,#]/.test(char)) break;
    else text += char;
  }
  return inQuotes ? null : { text, end: position };
}
