/** The parameter `synchronous_standby_names`. */
import { fail, succeed, type Result } from "../../../base/index.ts";

export interface StandbyNames {
  /** A commit waits for so many standbys. */
  readonly neededCount: number;
  /** In lower case, as PostgreSQL compares them; `*` fits any. */
  readonly names: readonly string[];
  readonly method: "first" | "any";
}

/**
 * Reads the parameter; null when it is empty: replication is asynchronous.
 *
 * Errors: a text that PostgreSQL would not take.
 * Source: PostgreSQL 15 manual, 20.6.2, and `syncrep_gram.y`.
 */
export function parseStandbyNames(text: string): Result<StandbyNames | null, string> {
  const tokens = text.match(TOKEN) ?? [];
  if (tokens.length === 0) return succeed(null);
  const rest = [...tokens];
  const word = rest[0]?.toUpperCase();
  const hasMethod = (word === "FIRST" || word === "ANY") && NUMBER.test(rest[1] ?? "");
  const method = word === "ANY" && hasMethod ? "any" : "first";
  if (hasMethod) rest.shift();
  const hasCount = NUMBER.test(rest[0] ?? "") && rest[1] === "(";
  const neededCount = hasCount ? Number(rest.shift()) : 1;
  if (hasCount && (rest.shift() !== "(" || rest.pop() !== ")")) return fail("a list has no end");
  const names = namesOf(rest);
  if (names === null || neededCount < 1) return fail("it is no list of names");
  return succeed({ method, neededCount, names });
}

const NUMBER = /^\d{1,9}$/u;
/** Quoted names, punctuation, and words. */
const TOKEN = /"(?:[^"]|"")*"|[(),]|[^\s(),"]+/gu;

/** Null when names and commas do not take turns. */
function namesOf(tokens: readonly string[]): readonly string[] | null {
  const names: string[] = [];
  for (const [at, token] of tokens.entries()) {
    const isComma = token === ",";
    if (isComma !== (at % 2 === 1) || token === "(" || token === ")") return null;
    if (isComma) continue;
    const isQuoted = token.startsWith('"');
    names.push((isQuoted ? token.slice(1, -1).replaceAll('""', '"') : token).toLowerCase());
  }
  return tokens.length % 2 === 1 ? names : null;
}
