import { readRows } from "../../../wire/postgres/index.ts";
import { isHarmlessBuiltin, type Catalog, type LeavingNames } from "../routing/index.ts";
import type { SqlClass } from "../sql/index.ts";
import { sqlLiteral } from "./sql-literal.ts";

/**
 * What functions of users leave in a session cannot be seen in the statement that calls them. But
 * their texts can be read, once for a database: a function in whose text no word stands that could
 * leave anything leaves nothing, and the same holds for what calls only such. Of the others it is
 * looked, behind each transaction that calls one or fires a trigger with it, as behind a DO.
 */

/** At the beginning of a statement, also of one in a string. */
const COMMANDS =
  "(^|;|['\"$]|\\m(begin|then|else|loop|atomic)\\M)\\s*(--[^\\n]*\\n\\s*)*(set(?!\\s+local\\M)|reset|listen|load|prepare|discard)\\s";
const WORDS =
  "\\m(set_config|temp|temporary|pg_temp|with\\s+hold|pg_(try_)?advisory_lock(_shared)?|pg_(create|copy)_\\w+_slot|dblink\\w*)\\M";
const SUSPICIOUS = `${COMMANDS}|${WORDS}`;
/** A set_config for the transaction. */
const LOCAL = "set_config\\s*\\([^;()]*,\\s*true\\s*\\)";
/** Parameters of applications, which no list of the server's names. */
const CUSTOM = "(?:set_config\\s*\\(\\s*'|\\mset\\s+(?:session\\s+)?)([a-z_]\\w*\\.[a-z_][\\w.]*)";

const ROW = { function: "f", table: "t", setting: "s" } as const;

/** More than this: whatever is called counts as one that leaves something. */
export const LEAVING_NAMES_MAX = 10_000;

/** Simple query that tells them, for any user, any search_path and any encoding; PostgreSQL 10 and later. */
export const LEAVING_QUERY = `WITH RECURSIVE body AS (
 SELECT p.oid, p.proname, pg_catalog.regexp_replace(pg_catalog.lower(CASE WHEN p.prosrc OPERATOR(pg_catalog.=) ''
  THEN pg_catalog.pg_get_functiondef(p.oid) ELSE p.prosrc END), ${sqlLiteral(LOCAL)}, '', 'g') AS src
 FROM pg_catalog.pg_proc p WHERE p.prolang OPERATOR(pg_catalog.<>) ALL (ARRAY[12, 13]::pg_catalog.oid[])
 AND p.pronamespace OPERATOR(pg_catalog.<>) ALL (SELECT n.oid FROM pg_catalog.pg_namespace n
  WHERE n.nspname OPERATOR(pg_catalog.=) ANY (ARRAY['pg_catalog', 'information_schema']::pg_catalog.name[]))),
 leaving(name) AS (
 SELECT b.proname FROM body b WHERE b.src OPERATOR(pg_catalog.~) ${sqlLiteral(SUSPICIOUS)}
 UNION SELECT b.proname FROM leaving l, body b
  WHERE pg_catalog.strpos(b.src, pg_catalog.lower(l.name::pg_catalog.text)) OPERATOR(pg_catalog.>) 0
  AND b.src OPERATOR(pg_catalog.~) pg_catalog.concat(${sqlLiteral("\\m")}, pg_catalog.regexp_replace(
   pg_catalog.lower(l.name::pg_catalog.text), ${sqlLiteral("(\\W)")}, ${sqlLiteral("\\\\\\1")}, 'g'), ${sqlLiteral("\\M")}))
 SELECT '${ROW.function}', ${hex("l.name::pg_catalog.text")} FROM leaving l
 UNION ALL SELECT '${ROW.table}', ${hex("c.relname::pg_catalog.text")} FROM pg_catalog.pg_trigger t
  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.tgrelid
  JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid
  JOIN leaving l ON l.name OPERATOR(pg_catalog.=) p.proname WHERE NOT t.tgisinternal
 UNION ALL SELECT DISTINCT '${ROW.setting}', ${hex("m.found[1]")} FROM body b,
  pg_catalog.regexp_matches(b.src, ${sqlLiteral(CUSTOM)}, 'g') AS m(found)`;

/** Text as it is in the database, in digits that every encoding has. */
function hex(text: string): string {
  return `pg_catalog.encode(pg_catalog.convert_to(${text}, pg_catalog.getdatabaseencoding()), 'hex')`;
}

/** None does. */
const NOTHING_LEAVES: LeavingNames = { functions: new Set(), tables: new Set(), settings: [] };

/** @param rows all DataRow messages of the answer, behind each other. */
export function readLeavingNames(rows: Buffer): LeavingNames {
  const functions = new Set<string>();
  const tables = new Set<string>();
  const settings: string[] = [];
  for (const [what, digits] of readRows(rows)) {
    const name = Buffer.from(digits ?? "", "hex").toString();
    if (what === ROW.function) functions.add(name);
    else if (what === ROW.table) tables.add(name);
    else if (settings.length < LEAVING_NAMES_MAX) settings.push(name);
  }
  return functions.size + settings.length === 0 ? NOTHING_LEAVES : { functions, tables, settings };
}

/** Statements of one transaction that are remembered until it is known which functions leave something. */
const UNJUDGED_MAX = 100;
/** After so many failures in a row a session asks no more: whatever is called may leave something. */
const FAILURES_MAX = 3;

/** Finds the statements of a session that may leave something by way of functions. */
export class LeavingCalls {
  readonly #catalog: Catalog | null;
  #unjudged: SqlClass[] = [];
  /** As `Catalog.functionChanges`, when the first of them came. */
  #unjudgedAt = 0;
  #failures = 0;

  constructor(catalog: Catalog | null) {
    this.#catalog = catalog;
  }

  /** Parameters of applications that functions of the database set. */
  get settings(): readonly string[] {
    return this.#catalog?.leaving?.settings ?? [];
  }

  /** There are some of which it cannot be said yet. */
  get isOpen(): boolean {
    return this.#unjudged.length > 0;
  }

  /** @returns whether the statement may leave something; it may become `isOpen` instead. */
  mayLeave(sql: SqlClass): boolean {
    const leaving = this.#catalog?.leaving;
    if (leaving === undefined || leaving === NOTHING_LEAVES) return false;
    if (leaving !== null) return calls(sql, leaving);
    if (!callsSomething(sql)) return false;
    if (this.#failures >= FAILURES_MAX || this.#unjudged.length >= UNJUDGED_MAX) return true;
    if (this.#unjudged.length === 0) this.#unjudgedAt = this.#functionChanges;
    this.#unjudged.push(sql);
    return false;
  }

  /**
   * Of those that are open and can be looked at no more, as their server is gone: whether one may
   * have left something. Null when it is not known yet which functions do.
   */
  judge(): boolean | null {
    const leaving = this.#catalog?.leaving ?? null;
    // A function that has been replaced since is not the one that was called.
    const isOlder = this.#unjudgedAt !== this.#functionChanges;
    if (leaving === null && !isOlder) return null;
    const open = this.#unjudged;
    this.#unjudged = [];
    return isOlder || (leaving !== null && open.some((sql) => calls(sql, leaving)));
  }

  /** Null: the answer did not come. @returns whether one of those that were open may leave something. */
  learn(rows: Buffer | null, drops: number): boolean {
    const open = this.#unjudged;
    this.#unjudged = [];
    const catalog = this.#catalog;
    if (catalog === null) return false;
    if (rows === null) {
      this.#failures += 1;
      return true;
    }
    this.#failures = 0;
    const leaving = readLeavingNames(rows);
    if (drops === catalog.drops) catalog.leaving = leaving;
    return open.some((sql) => calls(sql, leaving));
  }

  get #functionChanges(): number {
    return this.#catalog?.functionChanges ?? 0;
  }

  /** As `Catalog.drops`, when the question is asked. */
  get drops(): number {
    return this.#catalog?.drops ?? 0;
  }
}

function callsSomething(sql: SqlClass): boolean {
  if (sql.kind === "write" || sql.kind === "copy-in") return true;
  return sql.functions.some((name) => !isHarmlessBuiltin(name));
}

function calls(sql: SqlClass, leaving: LeavingNames): boolean {
  for (const name of sql.functions) if (leaving.functions.has(bare(name))) return true;
  if (sql.kind === "read" || leaving.tables.size === 0) return false;
  return sql.relations.some((name) => leaving.tables.has(bare(name)));
}

/** Without its schema. */
function bare(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}
