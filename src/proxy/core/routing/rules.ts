import {
  compilePattern,
  readRedirects,
  type Config,
  type Pattern,
  type Redirect,
} from "../../../config/index.ts";
import type { SqlClass, SqlKind } from "../sql/index.ts";
import type { Preference } from "./balance.ts";
import { isHarmlessBuiltin, isWritingBuiltin } from "./functions.ts";
import { REASON, type FunctionRule, type Reason } from "./reason.ts";

/** The parameters that routing acts on; a Config will do. */
export type RoutingConfig = Pick<
  Config,
  | "load_balance_mode"
  | "statement_level_load_balance"
  | "disable_load_balance_on_write"
  | "allow_sql_comments"
  | "ignore_leading_white_space"
  | "read_only_function_list"
  | "write_function_list"
  | "primary_routing_query_pattern_list"
  | "user_redirect_preference_list"
  | "database_redirect_preference_list"
  | "app_name_redirect_preference_list"
  | "delay_threshold"
  | "prefer_lower_delay_standby"
>;

/** Who a session is, for the redirect lists: as the start-up packet says. */
export interface ClientIdentity {
  readonly user: string;
  readonly database: string;
  readonly applicationName: string;
}

/**
 * A configuration ready for use: make it once per configuration, share it between sessions. What is
 * wrong in it the check of the configuration has told; here it matches nothing.
 */
export interface RoutingRules {
  readonly config: RoutingConfig;
  /** Why the statement must go to the primary by what it is; null when nothing says so. */
  reasonForPrimary(sql: SqlClass): Reason | null;
  /** Not known to be a pure read. */
  mayWrite(sql: SqlClass): boolean;
  /** Whether `reasonInText` looks at the text at all. */
  readonly readsText: boolean;
  /** Why its text must go there. */
  reasonInText(text: string): Reason | null;
  /** What the redirect lists say of a client, the strongest first. */
  preferencesOf(client: ClientIdentity): readonly Preference[];
}

export function compileRules(config: RoutingConfig): RoutingRules {
  return new CompiledRules(config);
}

class CompiledRules implements RoutingRules {
  readonly config: RoutingConfig;
  readonly #readOnly: readonly Pattern[];
  readonly #writing: readonly Pattern[];
  readonly #primaryTexts: readonly Pattern[];
  /** The strongest first. */
  readonly #redirects: readonly RedirectList[];
  /** A class is shared by many statements: what is found out about it is kept as long as it. */
  readonly #verdicts = new WeakMap<SqlClass, Verdict>();
  /** The verdict that was asked for last: mostly it is asked for again. */
  #lastSql: SqlClass | null = null;
  #last: Verdict = { reason: null, mayWrite: true };

  constructor(config: RoutingConfig) {
    this.config = config;
    this.#readOnly = compileAll(config.read_only_function_list);
    this.#writing = compileAll(config.write_function_list);
    this.#primaryTexts = compileAll(config.primary_routing_query_pattern_list);
    this.#redirects = REDIRECT_LISTS.map(({ name, of }) => {
      return { name, of, redirects: readRedirects(name, config[name]).redirects };
    });
  }

  reasonForPrimary(sql: SqlClass): Reason | null {
    return this.#judge(sql).reason;
  }

  mayWrite(sql: SqlClass): boolean {
    return this.#judge(sql).mayWrite;
  }

  get readsText(): boolean {
    return this.#primaryTexts.length > 0;
  }

  reasonInText(text: string): Reason | null {
    if (!this.readsText) return null;
    const hit = this.#primaryTexts.find((pattern) => pattern.matches(text));
    return hit === undefined ? null : { rule: "query-pattern", pattern: hit.source };
  }

  preferencesOf(client: ClientIdentity): readonly Preference[] {
    return this.#redirects.flatMap(({ name: list, of, redirects }) => {
      const hit = redirects.find(({ names }) => names.matches(client[of]));
      if (hit === undefined) return [];
      return { list, pattern: hit.names.source, node: hit.node, ratio: hit.ratio };
    });
  }

  #judge(sql: SqlClass): Verdict {
    if (sql === this.#lastSql) return this.#last;
    let verdict = this.#verdicts.get(sql);
    if (verdict === undefined) {
      verdict = { reason: this.#findReason(sql), mayWrite: this.#mayWrite(sql) };
      this.#verdicts.set(sql, verdict);
    }
    this.#lastSql = sql;
    this.#last = verdict;
    return verdict;
  }

  /**
   * The first function that may write, as a reason; null when there is none.
   *
   * Source: Pgpool-II manual, read_only_function_list and write_function_list. Different: with
   * none of the lists, functions that PostgreSQL does not bring along count as writing, as their
   * volatility is not looked up; and PostgreSQL's own harmless ones never need to be listed.
   */
  #writingFunction(sql: SqlClass): Reason | null {
    for (const name of sql.functions) {
      const decidedBy = this.#whyWriting(name);
      if (decidedBy !== null) return { rule: "function", name, volatility: null, decidedBy };
    }
    return null;
  }

  #whyWriting(name: string): FunctionRule | null {
    const matches = (patterns: readonly Pattern[]): boolean =>
      patterns.some((pattern) => pattern.matches(name));
    if (this.config.read_only_function_list.length > 0) {
      const isListed = matches(this.#readOnly) || isHarmlessBuiltin(name);
      return isListed ? null : "read_only_function_list";
    }
    if (isWritingBuiltin(name)) return "builtin";
    if (this.config.write_function_list.length > 0) {
      return matches(this.#writing) ? "write_function_list" : null;
    }
    return isHarmlessBuiltin(name) ? null : "unknown";
  }

  #findReason(sql: SqlClass): Reason | null {
    if (sql.multi) return REASON.severalStatements;
    if (sql.destination === "primary") return { rule: "kind", kind: sql.kind };
    if (sql.leadingComment && !this.config.allow_sql_comments) return REASON.comment;
    if (sql.leadingWhiteSpace && !this.config.ignore_leading_white_space && sql.kind === "read") {
      return REASON.whiteSpace;
    }
    const catalog = sql.relations.find(isCatalog);
    if (catalog !== undefined) return { rule: "system-catalog", relation: catalog };
    return this.#writingFunction(sql);
  }

  #mayWrite(sql: SqlClass): boolean {
    if (sql.kind !== "read" && sql.kind !== "copy-out") return isWrite(sql.kind);
    return sql.destination !== "either" || this.#writingFunction(sql) !== null;
  }
}

interface RedirectList {
  readonly name: string;
  readonly of: keyof ClientIdentity;
  readonly redirects: readonly Redirect[];
}

const REDIRECT_LISTS = [
  { name: "app_name_redirect_preference_list", of: "applicationName" },
  { name: "database_redirect_preference_list", of: "database" },
  { name: "user_redirect_preference_list", of: "user" },
] as const;

function compileAll(patterns: readonly string[]): Pattern[] {
  return patterns.flatMap((text) => {
    const compiled = compilePattern(text);
    return compiled.ok ? [compiled.value] : [];
  });
}

interface Verdict {
  readonly reason: Reason | null;
  readonly mayWrite: boolean;
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

/** By name: a relation of a user may start with pg_ only in a schema of its own. */
function isCatalog(relation: string): boolean {
  return relation.startsWith("pg_catalog.") || /^pg_[^.]*$/.test(relation);
}
