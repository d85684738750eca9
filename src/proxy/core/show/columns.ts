import type { OwnCommand } from "./command.ts";

const split = (names: string): readonly string[] => names.trim().split(/\s+/);

/**
 * The columns of SHOW POOL_*, in order. Source: Pgpool-II 4.3.5; POOL_CLIENTS and POOL_QUEUES are
 * ours.
 */
export const SHOW_COLUMNS: Readonly<Record<string, readonly string[] | undefined>> = {
  pool_nodes: split(`node_id hostname port status pg_status lb_weight role pg_role select_cnt
    load_balance_node replication_delay replication_state replication_sync_state
    last_status_change`),
  pool_version: ["pool_version"],
  pool_status: ["item", "value", "description"],
  pool_clients: split(`worker worker_pid client_id client_addr client_port username database
    application_name state since connected keeps backends`),
  pool_queues: split(`worker worker_pid queue backend_id username database used unused max waiting
    oldest_wait_ms`),
};

/** Of the answer to `command`; null when it has no rows. */
export function columnsOf(command: OwnCommand): readonly string[] | null {
  if (command.kind !== "show-pool") return null;
  return SHOW_COLUMNS[command.name] ?? null;
}
