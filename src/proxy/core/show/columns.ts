import { isParameterGroup } from "../../../config/index.ts";
import type { OwnCommand } from "./command.ts";

/** Release of Pgpool-II whose layout is spoken: `4.3` to `4.7`. */
export type Compat = "4.3" | "4.4" | "4.5" | "4.6" | "4.7";

const split = (names: string): readonly string[] => names.trim().split(/\s+/);

/**
 * The columns of SHOW POOL_*, in order. Source: Pgpool-II 4.3.5 and the manual of 4.7; POOL_CLIENTS
 * and POOL_QUEUES are ours.
 */
const SHOW_COLUMNS: Readonly<Record<string, readonly string[] | undefined>> = {
  pool_nodes: split(`node_id hostname port status pg_status lb_weight role pg_role select_cnt
    load_balance_node replication_delay replication_state replication_sync_state
    last_status_change`),
  pool_processes: split(`pool_pid start_time client_connection_count database username
    backend_connection_time pool_counter status`),
  pool_pools: split(`pool_pid start_time client_connection_count pool_id backend_id database
    username backend_connection_time client_connection_time client_disconnection_time
    client_idle_duration majorversion minorversion pool_counter pool_backendpid pool_connected
    status`),
  pool_version: ["pool_version"],
  pool_status: ["item", "value", "description"],
  pool_cache: split(`num_cache_hits num_selects cache_hit_ratio num_hash_entries used_hash_entries
    num_cache_entries used_cache_entries_size free_cache_entries_size
    fragment_cache_entries_size`),
  pool_health_check_stats: split(`node_id hostname port status role last_status_change total_count
    success_count fail_count skip_count retry_count average_retry_count max_retry_count
    max_duration min_duration average_duration last_health_check last_successful_health_check
    last_skip_health_check last_failed_health_check`),
  pool_backend_stats: split(`node_id hostname port status role select_cnt insert_cnt update_cnt
    delete_cnt ddl_cnt other_cnt panic_cnt fatal_cnt error_cnt`),
  pool_clients: split(`worker worker_pid client_id client_addr client_port username database
    application_name state since connected keeps backends`),
  pool_queues: split(`worker worker_pid queue backend_id username database used unused max waiting
    oldest_wait_ms`),
};

/** Of the answer to SHOW POOL_*. */
export function showColumns(name: string, compat: Compat): readonly string[] {
  const columns = SHOW_COLUMNS[name] ?? [];
  if (name !== "pool_pools") return columns;
  const release = Number(compat);
  return [
    ...columns,
    ...(release >= 4.5 ? ["load_balance_node"] : []),
    ...(release >= 4.7 ? ["client_host", "client_port", "statement"] : []),
  ];
}

/** Of the answer to `command`; null when it has no rows. */
export function columnsOf(command: OwnCommand, compat: Compat): readonly string[] | null {
  switch (command.kind) {
    case "show-pool":
      return showColumns(command.name, compat);
    case "show-parameter":
      return isParameterGroup(command.name) ? ["item", "value", "description"] : [command.name];
    case "show-lsn":
      return ["lsn"];
    case "show-wait-for-lsn":
      return ["wait_for_lsn"];
    case "wait-for-lsn":
      return null;
    case "explain-route":
      return ["item", "value"];
    case "set":
    case "cache-delete":
    case "reset":
    case "deallocate":
    case "wrong":
      return null;
  }
}
