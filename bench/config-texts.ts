/** The configurations of the rivals, alike in what matters: trust, sizes, no logging. Pure. */
import { CLIENTS_MAX } from "./plan.ts";

/** A few more than the clients of a cell: some of the cell before may still be leaving. */
export const SESSIONS_MAX = CLIENTS_MAX + 8;
export const TRANSACTION_POOL_SIZE = 16;

/**
 * pgpool.conf, for Pgpool-II and pgquorum the same; `own` are lines that only one of them knows.
 *
 * @param backendPorts the primary first; reads are spread when there is more than one.
 */
export function pgpoolConf(o: {
  readonly directory: string;
  readonly port: number;
  readonly pcpPort: number;
  readonly backendPorts: readonly number[];
  readonly own?: readonly string[];
}): string {
  const isSplit = o.backendPorts.length > 1;
  const lines = [
    "listen_addresses = '127.0.0.1'",
    `port = ${o.port}`,
    `socket_dir = '${o.directory}'`,
    "pcp_listen_addresses = '127.0.0.1'",
    `pcp_port = ${o.pcpPort}`,
    `pcp_socket_dir = '${o.directory}'`,
    `pid_file_name = '${o.directory}/pgpool.pid'`,
    `logdir = '${o.directory}'`,
    "backend_clustering_mode = 'streaming_replication'",
    "enable_pool_hba = off",
    "pool_passwd = ''",
    `num_init_children = ${SESSIONS_MAX}`,
    "max_pool = 1",
    `load_balance_mode = ${isSplit ? "on" : "off"}`,
    "sr_check_period = 10",
    "sr_check_user = 'postgres'",
    "sr_check_database = 'postgres'",
    "health_check_period = 0",
    "use_watchdog = off",
    ...o.backendPorts.flatMap((port, id) => [
      `backend_hostname${id} = '127.0.0.1'`,
      `backend_port${id} = ${port}`,
      `backend_weight${id} = 1`,
      `backend_flag${id} = 'DISALLOW_TO_FAILOVER'`,
    ]),
    ...(o.own ?? []),
  ];
  return `${lines.join("\n")}\n`;
}

export function pgbouncerIni(o: {
  readonly directory: string;
  readonly port: number;
  readonly backendPort: number;
  readonly poolMode: "session" | "transaction";
}): string {
  const size = o.poolMode === "session" ? SESSIONS_MAX : TRANSACTION_POOL_SIZE;
  return `[databases]
* = host=127.0.0.1 port=${o.backendPort}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${o.port}
unix_socket_dir =
auth_type = trust
auth_file = ${o.directory}/users
pool_mode = ${o.poolMode}
default_pool_size = ${size}
max_client_conn = 200
log_connections = 0
log_disconnections = 0
log_stats = 0
`;
}
