import type { Config } from "../../../config/index.ts";
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
/** RoutingConfig with its patterns compiled: make it once per configuration, share it. */
export interface RoutingRules {
  readonly config: RoutingConfig;
  /** Patterns that are no regular expressions; they match nothing. */
  readonly complaints: readonly string[];
}
export function compileRules(_config: RoutingConfig): RoutingRules {
  throw new Error("not built");
}
