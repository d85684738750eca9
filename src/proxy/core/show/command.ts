import type { Failure } from "../../../base/index.ts";
import { Lexer, type SqlClass } from "../sql/index.ts";
import { isOver, nameIn, valueIn } from "./command-words.ts";
import { parseOwnParameter } from "./own-parameters.ts";

/** A statement that the proxy answers itself. */
export type OwnCommand =
  /** SHOW POOL_*: `name` is `pool_nodes` and the like. */
  | { readonly kind: "show-pool"; readonly name: string }
  /** PGPOOL SHOW; `name` in lower case, `all` for ALL. */
  | { readonly kind: "show-parameter"; readonly name: string }
  /** PGPOOL SET; null for DEFAULT. */
  | { readonly kind: "set"; readonly name: string; readonly value: string | null }
  /** PGPOOL SET CACHE DELETE. */
  | { readonly kind: "cache-delete"; readonly query: string }
  /** PGPOOL RESET; null for ALL. */
  | { readonly kind: "reset"; readonly name: string | null }
  /** PGPOOL EXPLAIN ROUTE. */
  | { readonly kind: "explain-route"; readonly text: string }
  /** SHOW pgquorum.lsn, a position of the primary behind all that anybody has seen. */
  | { readonly kind: "show-lsn" }
  | { readonly kind: "show-wait-for-lsn" }
  /** SET pgquorum.wait_for_lsn; 0 for no position. */
  | { readonly kind: "wait-for-lsn"; readonly lsn: number; readonly tag: "SET" | "RESET" }
  /** Of a statement of ours that was prepared by Parse. */
  | { readonly kind: "deallocate"; readonly name: string }
  | { readonly kind: "wrong"; readonly failure: Failure };

/** Its class says already that the proxy answers it. */
export function isOwnKind(sql: SqlClass): boolean {
  return sql.kind === "show-pool" || sql.kind === "pgpool";
}

/**
 * What a statement asks of the proxy.
 *
 * @param sql one for which `isOwnKind` holds, or a DEALLOCATE.
 * Source: Pgpool-II manual, "PGPOOL SHOW", "PGPOOL SET", "PGPOOL RESET".
 */
export function parseOwnCommand(sql: SqlClass, text: string): OwnCommand {
  if (sql.kind === "show-pool") return { kind: "show-pool", name: sql.name ?? "" };
  if (sql.kind === "deallocate") return { kind: "deallocate", name: sql.name ?? "" };
  const lexer = new Lexer(text);
  lexer.next();
  if (!lexer.isWord("pgpool")) return parseOwnParameter(lexer);
  lexer.next();
  if (lexer.isWord("show")) return show(lexer);
  if (lexer.isWord("set")) return set(lexer);
  if (lexer.isWord("reset")) return reset(lexer);
  if (lexer.isWord("explain")) return explain(lexer);
  return wrongAt(lexer);
}

function show(lexer: Lexer): OwnCommand {
  const name = nameIn(lexer);
  return name !== null && isOver(lexer) ? { kind: "show-parameter", name } : wrongAt(lexer);
}

function reset(lexer: Lexer): OwnCommand {
  const name = nameIn(lexer);
  if (name === null || !isOver(lexer)) return wrongAt(lexer);
  return { kind: "reset", name: name === "all" ? null : name };
}

function set(lexer: Lexer): OwnCommand {
  const name = nameIn(lexer);
  if (name === null) return wrongAt(lexer);
  lexer.next();
  if (name === "cache" && lexer.isWord("delete")) return cacheDelete(lexer);
  if (!lexer.isWord("to") && !lexer.isSymbol("=")) return wrongAt(lexer);
  lexer.next();
  if (lexer.isWord("default")) {
    return isOver(lexer) ? { kind: "set", name, value: null } : wrongAt(lexer);
  }
  const value = valueIn(lexer);
  return value !== null && isOver(lexer) ? { kind: "set", name, value } : wrongAt(lexer);
}

function cacheDelete(lexer: Lexer): OwnCommand {
  lexer.next();
  const query = lexer.kind === "string" ? valueIn(lexer) : null;
  return query !== null && isOver(lexer) ? { kind: "cache-delete", query } : wrongAt(lexer);
}

function explain(lexer: Lexer): OwnCommand {
  lexer.next();
  if (!lexer.isWord("route")) return wrongAt(lexer);
  return { kind: "explain-route", text: lexer.text.slice(lexer.end).trim() };
}

/** So much of a text is repeated in the message about it. */
const EXCERPT_CHARS_MAX = 64;

function wrongAt(lexer: Lexer): OwnCommand {
  const at = lexer.text.slice(lexer.start, lexer.end).slice(0, EXCERPT_CHARS_MAX);
  return {
    kind: "wrong",
    failure: {
      severity: "ERROR",
      sqlstate: "42601",
      message: at === "" ? "syntax error at end of input" : `syntax error at or near "${at}"`,
      hint: "It is PGPOOL SHOW name, PGPOOL SET name TO value, PGPOOL RESET name, PGPOOL SET CACHE DELETE 'query', or PGPOOL EXPLAIN ROUTE statement.",
    },
  };
}
