import type { Config } from "../../../config/index.ts";
import type { SqlClass } from "../sql/index.ts";
import { isHarmlessBuiltin, isWritingBuiltin } from "./functions.ts";

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
  | "delay_threshold"
  | "prefer_lower_delay_standby"
>;

/** A configuration ready for use: make it once per configuration, share it between sessions. */
export interface RoutingRules {
  readonly config: RoutingConfig;
  /** Patterns that are no regular expressions, to be reported; they match nothing. */
  readonly complaints: readonly string[];
  /** Why the statement must go to the primary by what it is; null when nothing says so. */
  reasonForPrimary(sql: SqlClass): string | null;
  /** Not known to be a pure read. */
  mayWrite(sql: SqlClass): boolean;
  /** Whether `reasonInText` looks at the text at all. */
  readonly readsText: boolean;
  /** Why its text must go there. */
  reasonInText(text: string): string | null;
  /** The first function that may write, or null. */
  writingFunction(sql: SqlClass): string | null;
}

export function compileRules(config: RoutingConfig): RoutingRules {
  return new CompiledRules(config);
}

class CompiledRules implements RoutingRules {
  readonly config: RoutingConfig;
  readonly complaints: string[] = [];
  readonly #readOnly: readonly RegExp[];
  readonly #writing: readonly RegExp[];
  readonly #primaryTexts: readonly RegExp[];
  /** A class is shared by many statements: what is found out about it is kept as long as it. */
  readonly #verdicts = new WeakMap<SqlClass, Verdict>();
  /** The verdict that was asked for last: mostly it is asked for again. */
  #lastSql: SqlClass | null = null;
  #last: Verdict = { reason: null, mayWrite: true };

  constructor(config: RoutingConfig) {
    this.config = config;
    this.#readOnly = this.#compile("read_only_function_list", config.read_only_function_list);
    this.#writing = this.#compile("write_function_list", config.write_function_list);
    this.#primaryTexts = this.#compile(
      "primary_routing_query_pattern_list",
      config.primary_routing_query_pattern_list,
    );
  }

  reasonForPrimary(sql: SqlClass): string | null {
    return this.#judge(sql).reason;
  }

  mayWrite(sql: SqlClass): boolean {
    return this.#judge(sql).mayWrite;
  }

  get readsText(): boolean {
    return this.#primaryTexts.length > 0;
  }

  reasonInText(text: string): string | null {
    if (!this.readsText) return null;
    const hit = this.#primaryTexts.some((pattern) => pattern.test(text));
    return hit ? "it matches primary_routing_query_pattern_list" : null;
  }

  /**
   * Source: Pgpool-II manual, read_only_function_list and write_function_list. Different: with
   * none of the lists, functions that PostgreSQL does not bring along count as writing, as their
   * volatility is not looked up; and PostgreSQL's own harmless ones never need to be listed.
   */
  writingFunction(sql: SqlClass): string | null {
    return sql.functions.find((name) => this.#isWriting(name)) ?? null;
  }

  #judge(sql: SqlClass): Verdict {
    if (sql === this.#lastSql) return this.#last;
    let verdict = this.#verdicts.get(sql);
    if (verdict === undefined) {
      verdict = { reason: this.#findReason(sql), mayWrite: isWrite(sql, this) };
      this.#verdicts.set(sql, verdict);
    }
    this.#lastSql = sql;
    this.#last = verdict;
    return verdict;
  }

  #isWriting(name: string): boolean {
    const matches = (patterns: readonly RegExp[]): boolean =>
      patterns.some((pattern) => pattern.test(name));
    if (this.config.read_only_function_list.length > 0) {
      return !matches(this.#readOnly) && !isHarmlessBuiltin(name);
    }
    if (this.config.write_function_list.length > 0) {
      return matches(this.#writing) || isWritingBuiltin(name);
    }
    return !isHarmlessBuiltin(name);
  }

  #findReason(sql: SqlClass): string | null {
    if (sql.multi) return "several statements in one text";
    if (sql.destination === "primary") return `a statement of kind ${sql.kind}`;
    if (sql.leadingComment && !this.config.allow_sql_comments) {
      return "it starts with a comment and allow_sql_comments is off";
    }
    if (sql.leadingWhiteSpace && !this.config.ignore_leading_white_space && sql.kind === "read") {
      return "it starts with white space and ignore_leading_white_space is off";
    }
    const catalog = sql.relations.find(isCatalog);
    if (catalog !== undefined) return `the system catalog ${catalog} is read`;
    const writing = this.writingFunction(sql);
    return writing === null ? null : `the function ${writing} may write`;
  }

  #compile(parameter: string, patterns: readonly string[]): RegExp[] {
    return patterns.flatMap((pattern) => {
      try {
        return new RegExp(`^(?:${javaScriptPattern(pattern)})$`, "is");
      } catch {
        this.complaints.push(`${parameter}: "${pattern}" is not a regular expression`);
        return [];
      }
    });
  }
}

interface Verdict {
  readonly reason: string | null;
  readonly mayWrite: boolean;
}

function isWrite(sql: SqlClass, rules: RoutingRules): boolean {
  switch (sql.kind) {
    case "read":
    case "copy-out":
      return sql.destination !== "either" || rules.writingFunction(sql) !== null;
    case "begin":
    case "commit":
    case "rollback":
    case "savepoint":
    case "show":
    case "show-pool":
    case "pgpool":
    case "empty":
    case "explain":
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

/** POSIX writes character classes by name within brackets. */
function javaScriptPattern(posix: string): string {
  return posix.replace(/\[:(\w+):\]/g, (whole, name: string) => POSIX_CLASSES[name] ?? whole);
}

const POSIX_CLASSES: Readonly<Record<string, string | undefined>> = {
  alnum: "A-Za-z0-9",
  alpha: "A-Za-z",
  blank: " \\t",
  digit: "0-9",
  lower: "a-z",
  punct: "!-\\/:-@\\[-`{-~",
  space: "\\s",
  upper: "A-Z",
  xdigit: "0-9A-Fa-f",
};
