import { readRows } from "../../../wire/postgres/index.ts";
import {
  RELATION,
  type CatalogFacts,
  type CatalogNames,
  type Volatility,
} from "../routing/index.ts";
import { bytesOf } from "./session-state.ts";
import { sqlLiteral } from "./sql-literal.ts";

/** Names in one question; a statement with more of them goes to the primary. */
export const CATALOG_NAMES_MAX = 200;

/** The first column of a row says what it tells; the second which of the names it is. */
const ROW = { relation: "r", function: "f", levels: "i" } as const;

const EQUALS = "OPERATOR(pg_catalog.=)";

/** A view or a table with children or partitions: what is behind it counts as well. */
const BEHIND = `WITH RECURSIVE d(oid) AS (
 SELECT c.oid
 UNION SELECT n.oid FROM d, LATERAL (
  SELECT p.refobjid AS oid FROM pg_catalog.pg_rewrite r, pg_catalog.pg_depend p
   WHERE r.ev_class ${EQUALS} d.oid AND r.ev_type ${EQUALS} '1'::pg_catalog."char"
   AND p.classid ${EQUALS} 2618::pg_catalog.oid AND p.objid ${EQUALS} r.oid
   AND p.refclassid ${EQUALS} 1259::pg_catalog.oid
  UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent ${EQUALS} d.oid) n)`;

/** It writes, and is called by name in the text of a view, as PostgreSQL notes no use of its own. */
const WRITING =
  "\\m(nextval|setval|set_config|txid_current|pg_current_xact_id|pg_(try_)?advisory_\\w+|pg_notify|lo_\\w+)\\(";

/**
 * Simple query that asks for all that routing wants to know of these names, whatever search_path
 * and encoding the session has. Temporary tables are left out: they are a session's own.
 */
export function catalogQuery(names: CatalogNames): string {
  const pieces: string[] = [];
  if (names.relations.length > 0) pieces.push(relationsPiece(names.relations));
  if (names.functions.length > 0) pieces.push(functionsPiece(names.functions));
  return pieces.join(" UNION ALL ");
}

function relationsPiece(names: readonly string[]): string {
  const is = (letter: string): string => `${EQUALS} '${letter}'::pg_catalog."char"`;
  return `SELECT '${ROW.relation}', v.i::pg_catalog.text, (${RELATION.exists}
 | CASE WHEN pg_catalog.bool_or(s.nspname ${EQUALS} 'pg_catalog'::pg_catalog.name) THEN ${RELATION.system} ELSE 0 END
 | CASE WHEN pg_catalog.bool_or(c.relpersistence ${is("u")} OR b.unlogged) THEN ${RELATION.unlogged} ELSE 0 END
 | CASE WHEN pg_catalog.bool_or(b.writes) THEN ${RELATION.writes} ELSE 0 END)::pg_catalog.text
 FROM ${values(names)} JOIN pg_catalog.pg_class c ON c.relname ${EQUALS} v.n::pg_catalog.name
 JOIN pg_catalog.pg_namespace s ON s.oid ${EQUALS} c.relnamespace
 AND (v.s IS NULL OR s.nspname ${EQUALS} v.s::pg_catalog.name)
 LEFT JOIN LATERAL (${BEHIND}
 SELECT pg_catalog.bool_or(x.relpersistence ${is("u")}) AS unlogged,
 pg_catalog.bool_or(x.relkind ${is("S")}
  OR x.relkind ${is("v")} AND pg_catalog.pg_get_viewdef(x.oid) OPERATOR(pg_catalog.~) ${sqlLiteralOf(WRITING)}
  OR EXISTS (SELECT FROM pg_catalog.pg_rewrite r, pg_catalog.pg_depend p, pg_catalog.pg_proc f
   WHERE r.ev_class ${EQUALS} x.oid AND p.classid ${EQUALS} 2618::pg_catalog.oid AND p.objid ${EQUALS} r.oid
   AND p.refclassid ${EQUALS} 1255::pg_catalog.oid AND f.oid ${EQUALS} p.refobjid AND f.provolatile ${is("v")})) AS writes
 FROM d JOIN pg_catalog.pg_class x ON x.oid ${EQUALS} d.oid) b
 ON s.nspname OPERATOR(pg_catalog.<>) ALL (ARRAY['pg_catalog', 'information_schema']::pg_catalog.name[])
 AND (c.relhassubclass OR c.relkind ${is("v")})
 WHERE c.relpersistence OPERATOR(pg_catalog.<>) 't'::pg_catalog."char" GROUP BY v.i`;
}

function functionsPiece(names: readonly string[]): string {
  return `SELECT '${ROW.function}', v.i::pg_catalog.text, pg_catalog.max(p.provolatile::pg_catalog.text)
 FROM ${values(names)} JOIN pg_catalog.pg_proc p ON p.proname ${EQUALS} v.n::pg_catalog.name
 JOIN pg_catalog.pg_namespace s ON s.oid ${EQUALS} p.pronamespace
 AND (v.s IS NULL OR s.nspname ${EQUALS} v.s::pg_catalog.name) GROUP BY v.i`;
}

/** Asks for the isolation levels of the open transaction and of those to come. */
export const LEVELS_QUERY =
  `SELECT '${ROW.levels}', pg_catalog.current_setting('transaction_isolation'),` +
  " pg_catalog.current_setting('default_transaction_isolation')";

/** Null when they are not in the answer. */
export function readLevels(rows: Buffer): [string, string] | null {
  for (const [what, level, defaultLevel] of readRows(rows)) {
    if (what === ROW.levels && level && defaultLevel) return [level, defaultLevel];
  }
  return null;
}

/** `(VALUES (0, schema, name), ...) AS v(i, s, n)`. */
function values(names: readonly string[]): string {
  const rows = names.map((name, i) => {
    const dot = name.indexOf(".");
    const schema = dot < 0 ? "NULL" : sqlLiteralOf(name.slice(0, dot));
    return `(${i}, ${schema}::pg_catalog.text, ${sqlLiteralOf(name.slice(dot + 1))}::pg_catalog.text)`;
  });
  return `(VALUES ${rows.join(", ")}) AS v(i, s, n)`;
}

function sqlLiteralOf(text: string): string {
  return sqlLiteral(bytesOf(text));
}

/** @param rows all DataRow messages of the answer, behind each other. */
export function readCatalogAnswer(names: CatalogNames, rows: Buffer): CatalogFacts {
  const relations = new Map<string, number>();
  const functions = new Map<string, Volatility>();
  for (const [what, index, value] of readRows(rows)) {
    if (what === ROW.levels) continue;
    const list = what === ROW.relation ? names.relations : names.functions;
    const name = list[Number(index)];
    if (name === undefined) continue;
    if (what === ROW.relation) relations.set(name, Number(value));
    else functions.set(name, volatilityOf(value));
  }
  return { relations, functions };
}

function volatilityOf(letter: string | null | undefined): Volatility {
  if (letter === "i") return "immutable";
  return letter === "s" ? "stable" : "volatile";
}
