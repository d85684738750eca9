import type { SqlClass, SqlKind } from "../sql/index.ts";
import { RELATION, type Catalog, type CatalogNames } from "./catalog.ts";
import { isBoundToPrimary, isHarmlessBuiltin, isWritingBuiltin } from "./functions.ts";
import { REASON, type FunctionRule, type Reason, type Volatility } from "./reason.ts";
import type { RoutingRules } from "./rules.ts";

/** What rules and catalogs say of a class of statements, whatever the session has done. */
interface Verdict {
  /** Why it must go to the primary by what it is; null when nothing says so. */
  readonly reason: Reason | null;
  readonly mayWrite: boolean;
  /** It names something that was not looked up: until then nobody knows. */
  readonly isOpen: boolean;
}

/** A function of a statement, and which list or catalog says whether it may write. */
export interface JudgedFunction {
  readonly name: string;
  /** Null when it was not looked up. */
  readonly volatility: Volatility | null;
  readonly mayWrite: boolean;
  readonly decidedBy: FunctionRule;
}

const NOTHING: CatalogNames = { relations: [], functions: [] };

/**
 * Applies the rules to classes of statements, with what is known of one database. There is one for
 * all sessions of a database.
 */
export class Judge {
  readonly #rules: RoutingRules;
  readonly #catalog: Catalog | null;
  /** A class is shared by many statements: what is found out about it is kept as long as it. */
  #verdicts = new WeakMap<SqlClass, Verdict>();
  #generation = 0;
  /** The verdict that was asked for last: mostly it is asked for again. */
  #lastSql: SqlClass | null = null;
  #last: Verdict = { reason: null, mayWrite: true, isOpen: false };

  /** @param catalog null: functions and relations are judged by their names alone. */
  constructor(rules: RoutingRules, catalog: Catalog | null) {
    this.#rules = rules;
    this.#catalog = catalog;
  }

  reasonForPrimary(sql: SqlClass): Reason | null {
    return this.#verdictOf(sql).reason;
  }

  /** Not known to be a pure read. */
  mayWrite(sql: SqlClass): boolean {
    return this.#verdictOf(sql).mayWrite;
  }

  /** Something has to be looked up before it is known where the statement may go. */
  isOpen(sql: SqlClass): boolean {
    return this.#verdictOf(sql).isOpen;
  }

  /** What has to be looked up. */
  namesToAsk(sql: SqlClass): CatalogNames {
    const catalog = this.#catalog;
    if (catalog === null || !this.isOpen(sql)) return NOTHING;
    return {
      relations: sql.relations.filter((name) => catalog.relation(name) === undefined),
      functions: this.#asksFunctions
        ? sql.functions.filter((name) => catalog.volatility(name) === undefined)
        : [],
    };
  }

  /** What has to be looked up to explain all about it, also what a list decides. */
  namesToExplain(sql: SqlClass): CatalogNames {
    const catalog = this.#catalog;
    if (catalog === null || sql.destination !== "either") return NOTHING;
    return {
      relations: sql.relations.filter((name) => catalog.relation(name) === undefined),
      functions: sql.functions.filter((name) => catalog.volatility(name) === undefined),
    };
  }

  /** What is known of the functions that it calls, in their order. */
  functionsOf(sql: SqlClass): readonly JudgedFunction[] {
    return sql.functions.map((name) => {
      const writing = this.#whyWriting(name);
      return {
        name,
        volatility: this.#catalog?.volatility(name) ?? null,
        mayWrite: writing !== null,
        decidedBy: writing ?? this.#whyReading(name),
      };
    });
  }

  #verdictOf(sql: SqlClass): Verdict {
    const generation = this.#catalog?.generation ?? 0;
    if (generation === this.#generation) {
      if (sql === this.#lastSql) return this.#last;
    } else {
      this.#generation = generation;
      this.#verdicts = new WeakMap();
    }
    const verdict = this.#verdicts.get(sql) ?? this.#judge(sql);
    this.#lastSql = verdict.isOpen ? null : sql;
    this.#last = verdict;
    return verdict;
  }

  #judge(sql: SqlClass): Verdict {
    const byForm = this.#reasonByForm(sql);
    const isRead = sql.kind === "read" || sql.kind === "copy-out";
    const reason = byForm ?? this.#reasonByNames(sql);
    const verdict: Verdict = {
      reason,
      mayWrite: isRead ? this.#readMayWrite(sql) : isWrite(sql.kind),
      isOpen: byForm === null && this.#isOpen(sql),
    };
    if (!verdict.isOpen) this.#verdicts.set(sql, verdict);
    return verdict;
  }

  #reasonByForm(sql: SqlClass): Reason | null {
    const { config } = this.#rules;
    if (sql.multi) return REASON.severalStatements;
    if (sql.destination === "primary") return { rule: "kind", kind: sql.kind };
    // The first character of a COPY says nothing, as with Pgpool-II.
    if (sql.kind === "copy-out") return null;
    if (sql.leadingComment && !config.allow_sql_comments) return REASON.comment;
    const isPlain = sql.kind === "read" || sql.kind === "empty";
    if (sql.leadingWhiteSpace && !config.ignore_leading_white_space && isPlain) {
      return REASON.whiteSpace;
    }
    return null;
  }

  #reasonByNames(sql: SqlClass): Reason | null {
    for (const relation of sql.relations) {
      const reason = this.#reasonOfRelation(relation, sql);
      if (reason !== null) return reason;
    }
    return this.#writingFunction(sql) ?? (this.#isOpen(sql) ? REASON.catalogUnknown : null);
  }

  #reasonOfRelation(relation: string, sql: SqlClass): Reason | null {
    const bits = this.#catalog?.relation(relation);
    if (bits === undefined) {
      return isCatalog(relation, this.#catalog !== null)
        ? { rule: "system-catalog", relation }
        : null;
    }
    if ((bits & RELATION.system) !== 0) return { rule: "system-catalog", relation };
    if ((bits & RELATION.unlogged) !== 0 && this.#rules.config.check_unlogged_table) {
      return { rule: "unlogged-table", relation };
    }
    if ((bits & RELATION.writes) !== 0) return { rule: "writing-view", relation };
    const isMissing = bits === 0 && !sql.cteNames.includes(relation);
    return isMissing ? { rule: "missing-relation", relation } : null;
  }

  #isOpen(sql: SqlClass): boolean {
    const catalog = this.#catalog;
    if (catalog === null || sql.destination !== "either") return false;
    for (const name of sql.relations) if (catalog.relation(name) === undefined) return true;
    if (!this.#asksFunctions) return false;
    for (const name of sql.functions) if (catalog.volatility(name) === undefined) return true;
    return false;
  }

  /** Where one of the lists is given, it alone decides. */
  get #asksFunctions(): boolean {
    const { read_only_function_list: readOnly, write_function_list: writing } = this.#rules.config;
    return readOnly.length + writing.length === 0;
  }

  #readMayWrite(sql: SqlClass): boolean {
    if (sql.destination !== "either" || this.#writingFunction(sql) !== null) return true;
    return sql.relations.some(
      (name) => ((this.#catalog?.relation(name) ?? 0) & RELATION.writes) !== 0,
    );
  }

  /**
   * The first function that may write, as a reason; null when there is none.
   *
   * Source: Pgpool-II manual, read_only_function_list and write_function_list. Different: some of
   * PostgreSQL's own go to the primary whatever their volatility and write_function_list say.
   */
  #writingFunction(sql: SqlClass): Reason | null {
    for (const name of sql.functions) {
      const decidedBy = this.#whyWriting(name);
      if (decidedBy === null) continue;
      const volatility = this.#catalog?.volatility(name) ?? null;
      return { rule: "function", name, volatility, decidedBy };
    }
    return null;
  }

  /** Of a function that does not write. */
  #whyReading(name: string): FunctionRule {
    const { config } = this.#rules;
    if (config.read_only_function_list.length > 0) return "read_only_function_list";
    if (config.write_function_list.length > 0) return "write_function_list";
    return this.#catalog?.volatility(name) === undefined ? "builtin" : "pg_proc";
  }

  #whyWriting(name: string): FunctionRule | null {
    const { config } = this.#rules;
    if (config.read_only_function_list.length > 0) {
      return this.#rules.isReadOnly(name) ? null : "read_only_function_list";
    }
    if (config.write_function_list.length > 0) {
      if (isWritingBuiltin(name)) return "builtin";
      return this.#rules.isWriting(name) ? "write_function_list" : null;
    }
    if (isBoundToPrimary(name)) return "builtin";
    const volatility = this.#catalog?.volatility(name);
    if (volatility !== undefined) {
      return volatility === "volatile" || volatility === "missing" ? "pg_proc" : null;
    }
    if (isHarmlessBuiltin(name)) return null;
    return isWritingBuiltin(name) ? "builtin" : "unknown";
  }
}

function isWrite(kind: SqlKind): boolean {
  switch (kind) {
    case "begin":
    case "commit":
    case "rollback":
    case "savepoint":
    case "show":
    case "show-pool":
    case "pgpool":
    case "empty":
    case "explain":
    case "read":
    case "copy-out":
      return false;
    case "write":
    case "two-phase":
    case "set":
    case "discard":
    case "listen":
    case "cursor":
    case "prepare":
    case "execute":
    case "deallocate":
    case "copy-in":
    case "unparsable":
      return true;
  }
}

/**
 * By name: a relation of a user may start with pg_ only in a schema of its own.
 *
 * @param isKnown what it is can be looked up: then only what the name says for certain counts.
 */
function isCatalog(relation: string, isKnown: boolean): boolean {
  return relation.startsWith("pg_catalog.") || (!isKnown && /^pg_[^.]*$/.test(relation));
}
