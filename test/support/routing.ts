import type { ClientIdentity, RoutingConfig } from "../../src/proxy/core/routing/index.ts";

/** The initial values, but that reads are spread. */
export const ROUTING: RoutingConfig = {
  backend_clustering_mode: "streaming_replication",
  load_balance_mode: true,
  statement_level_load_balance: false,
  disable_load_balance_on_write: "transaction",
  dml_adaptive_object_relationship_list: "",
  allow_sql_comments: false,
  ignore_leading_white_space: true,
  read_only_function_list: [],
  write_function_list: [],
  primary_routing_query_pattern_list: [],
  user_redirect_preference_list: "",
  database_redirect_preference_list: "",
  app_name_redirect_preference_list: "",
  check_temp_table: "catalog",
  check_unlogged_table: true,
  delay_threshold: 0,
  delay_threshold_by_time: 0,
  prefer_lower_delay_standby: false,
};

export const CLIENT: ClientIdentity = { user: "u", database: "d", applicationName: "a" };
