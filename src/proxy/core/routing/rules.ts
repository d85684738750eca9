import {
  compilePattern,
  readRedirects,
  type Config,
  type Pattern,
  type Redirect,
} from "../../../config/index.ts";
import type { Preference } from "./balance.ts";
import type { Catalog } from "./catalog.ts";
import { Judge } from "./judge.ts";
import type { Reason } from "./reason.ts";
import type { Hold, OnWrite } from "./transaction.ts";

/** The parameters that routing acts on; a Config will do. */
export type RoutingConfig = Pick<
  Config,
  | "backend_clustering_mode"
  | "load_balance_mode"
  | "statement_level_load_balance"
  | "disable_load_balance_on_write"
  | "dml_adaptive_object_relationship_list"
  | "allow_sql_comments"
  | "ignore_leading_white_space"
  | "read_only_function_list"
  | "write_function_list"
  | "primary_routing_query_pattern_list"
  | "user_redirect_preference_list"
  | "database_redirect_preference_list"
  | "app_name_redirect_preference_list"
  | "check_temp_table"
  | "check_unlogged_table"
  | "delay_threshold"
  | "delay_threshold_by_time"
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
  /** A function of that name is on read_only_function_list. */
  isReadOnly(name: string): boolean;
  /** Why reads of a transaction stay on the primary when it has written. */
  readonly holdAfterWrite: Hold | null;
  /** It is on write_function_list. */
  isWriting(name: string): boolean;
  /** Applies them to statements of one database; null: without knowing its catalogs. */
  judgeFor(catalog: Catalog | null): Judge;
  /** Whether `reasonInText` looks at the text at all. */
  readonly readsText: boolean;
  /** Why its text must go there. */
  reasonInText(text: string): Reason | null;
  /** What the redirect lists say of a client, the strongest first. */
  preferencesOf(client: ClientIdentity): readonly Preference[];
}

export function compileRules(config: RoutingConfig): RoutingRules {
  // Servers that nothing replicates have different data: all goes to one of them.
  const isBalanced = config.load_balance_mode && config.backend_clustering_mode !== "raw";
  return new CompiledRules({ ...config, load_balance_mode: isBalanced });
}

class CompiledRules implements RoutingRules {
  readonly config: RoutingConfig;
  readonly #readOnly: readonly Pattern[];
  readonly #writing: readonly Pattern[];
  readonly #primaryTexts: readonly Pattern[];
  /** The strongest first. */
  readonly #redirects: readonly RedirectList[];
  readonly #judges = new WeakMap<Catalog, Judge>();
  #plainJudge: Judge | null = null;

  constructor(config: RoutingConfig) {
    this.config = config;
    this.#readOnly = compileAll(config.read_only_function_list);
    this.#writing = compileAll(config.write_function_list);
    this.#primaryTexts = compileAll(config.primary_routing_query_pattern_list);
    this.#redirects = REDIRECT_LISTS.map(({ name, of }) => {
      return { name, of, redirects: readRedirects(name, config[name]).redirects };
    });
  }

  isReadOnly(name: string): boolean {
    return this.#readOnly.some((pattern) => pattern.matches(name));
  }

  get holdAfterWrite(): Hold | null {
    return HOLDING.has(this.config.disable_load_balance_on_write) ? "wrote" : null;
  }

  isWriting(name: string): boolean {
    return this.#writing.some((pattern) => pattern.matches(name));
  }

  judgeFor(catalog: Catalog | null): Judge {
    if (catalog === null) return (this.#plainJudge ??= new Judge(this, null));
    let judge = this.#judges.get(catalog);
    if (judge === undefined) {
      judge = new Judge(this, catalog);
      this.#judges.set(catalog, judge);
    }
    return judge;
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
}

const HOLDING = new Set<OnWrite>(["transaction", "trans_transaction", "always"]);

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
