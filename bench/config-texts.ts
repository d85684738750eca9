/** The configurations of the products, alike in what matters: authentication, sizes, no logging. Pure. */
import type { Setting } from "./plan.ts";

/** Who asks: another one for SCRAM, so that PostgreSQL can trust all others. */
export interface Login {
  readonly user: string;
  /** Null: none is asked for. */
  readonly password: string | null;
}

export const TRUSTED: Login = { user: "postgres", password: null };
export const PROVEN: Login = { user: "bench_scram", password: "bench-secret" };

export function loginOf({ auth }: Setting): Login {
  return auth === "trust" ? TRUSTED : PROVEN;
}

/** Of PostgreSQL itself, over TCP. */
export const POSTGRES_HBA = `local all all trust
local replication all trust
host all ${PROVEN.user} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
`;

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
  readonly setting: Setting;
  readonly own?: readonly string[];
}): string {
  const isProven = o.setting.auth !== "trust";
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
    `enable_pool_hba = ${isProven ? "on" : "off"}`,
    `pool_passwd = '${isProven ? "pool_passwd" : ""}'`,
    `num_init_children = ${o.setting.clientsMax}`,
    "max_pool = 1",
    `load_balance_mode = ${o.setting.standbys > 0 ? "on" : "off"}`,
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

/** What only pgquorum knows. */
export function ownLines({ workers, poolMode, poolSize }: Setting): readonly string[] {
  const lines = [`num_workers = ${workers}`];
  if (poolMode === "session") return lines;
  return [...lines, "pool_mode = 'transaction'", `pool_size = ${poolSize}`];
}

/** pool_hba.conf for both of them. */
export const POOL_HBA = `host all ${PROVEN.user} 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
`;

/**
 * pool_passwd for both of them: the password itself, because with what PostgreSQL keeps of it alone
 * they do not get into PostgreSQL.
 */
export const POOL_PASSWD = `${PROVEN.user}:TEXT${PROVEN.password}\n`;

export function pgbouncerIni(o: {
  readonly directory: string;
  readonly port: number;
  readonly backendPort: number;
  readonly setting: Setting;
}): string {
  return `[databases]
* = host=127.0.0.1 port=${o.backendPort}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${o.port}
listen_backlog = 4096
unix_socket_dir =
auth_type = ${o.setting.auth}
auth_file = ${o.directory}/users
pool_mode = ${o.setting.poolMode}
default_pool_size = ${o.setting.poolSize}
max_client_conn = ${o.setting.clientsMax}
log_connections = 0
log_disconnections = 0
log_stats = 0
`;
}

/** @param secret what PostgreSQL keeps of the password: it saves PgBouncer thousands of rounds of hashing. */
export function pgbouncerUsers(secret: string): string {
  return `"${TRUSTED.user}" ""\n"${PROVEN.user}" "${secret}"\n`;
}
