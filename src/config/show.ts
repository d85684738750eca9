import { Secret } from "../base/index.ts";
import type { BackendConfig, Config, NodeConfig, Value } from "./config.ts";
import { plainValue } from "./inactive.ts";
import { OWN } from "./parameters/own.ts";
import type { ParameterRow } from "./parameters/parameter.ts";
import { findRow, isPlain, TABLE } from "./parameters/table.ts";

/** One line of SHOW POOL_STATUS and pcp_pool_status. */
export interface StatusRow {
  readonly item: string;
  readonly value: string;
  readonly description: string;
}

/** What the configuration does not know; callers that know put it in. */
export interface LiveStatus {
  /** `up`, `down`, `waiting`, `quarantine`, `unused`. */
  readonly backendStatus: (id: number) => string;
  /** Bytes behind the primary. */
  readonly standbyDelayBytes: (id: number) => number;
  readonly cacheStatsStartTime: string;
  readonly cacheMisses: number;
  readonly cacheHits: number;
  /** `off`, or since when, by whom and why it is on. */
  readonly maintenance: string;
}

type Compat = Config["pgpool_compat_version"];

const NOTHING_LIVE: LiveStatus = {
  backendStatus: () => "waiting",
  standbyDelayBytes: () => 0,
  cacheStatsStartTime: "",
  cacheMisses: 0,
  cacheHits: 0,
  maintenance: "off",
};

/**
 * All parameters in the order and manner of Pgpool-II: booleans as 0 and 1, choices as numbers,
 * passwords as stars. Parameters that the asked-for release does not have are left out; ours come
 * last. Source: Pgpool-II 4.3.5, compared row by row; newer releases by their item lists.
 */
export function showPoolStatus(
  config: Config,
  compat: Compat,
  known: Partial<LiveStatus> = {},
): readonly StatusRow[] {
  const live = { ...NOTHING_LIVE, ...known };
  const named = (names: string): readonly StatusRow[] =>
    names.split(/\s+/).flatMap((name) => plainRow(config, name, compat));
  const isOldest = compat === "4.3";
  // This row moved in front of the nodes after 4.3.
  const interfaces = named("wd_monitoring_interfaces_list");
  return [
    ...named(LISTENING),
    ...named(isOldest ? SESSIONS_43 : SESSIONS),
    ...named(UP_TO_REPLICATION),
    ...named(isOldest ? PASSWORDLESS_43 : WITH_PASSWORDS),
    ...named(UP_TO_WATCHDOG),
    ...(isOldest ? [] : [...named("wd_lifecheck_password"), ...interfaces]),
    ...config.nodes.flatMap(nodeRows),
    ...config.nodes.flatMap(heartbeatRows),
    ...(isOldest ? interfaces : []),
    ...named(CACHE),
    ...cacheRows(config, live),
    ...named("cache_safe_memqcache_table_list cache_unsafe_memqcache_table_list"),
    ...config.backends.flatMap((backend) => backendRows(config, backend, live)),
    ...named(Object.keys(OWN).join(" ")),
    {
      item: "maintenance",
      value: live.maintenance,
      description: "While it is on, nothing is done to a server unless a person asks.",
    },
  ];
}

/** What is known of the servers at the moment, for `showPoolStatus`. */
export function liveBackends(
  backends: readonly {
    readonly id: number;
    readonly state: string;
    readonly quarantined: boolean;
    readonly replicationDelayBytes: number;
  }[],
): Pick<LiveStatus, "backendStatus" | "standbyDelayBytes"> {
  const of = (id: number): (typeof backends)[number] | undefined =>
    backends.find((one) => one.id === id);
  return {
    backendStatus: (id) => {
      const backend = of(id);
      return backend?.quarantined === true ? "quarantine" : (backend?.state ?? "unused");
    },
    standbyDelayBytes: (id) => of(id)?.replicationDelayBytes ?? 0,
  };
}

function plainRow(config: Config, name: string, compat: Compat): readonly StatusRow[] {
  const row = findRow(name);
  if (row === null || !isPlain(row)) return [];
  const isKnown = row.since === "pgquorum" || !isLater(row.since, compat);
  const item = isKnown ? name : row.olderNames?.[0];
  if (item === undefined) return [];
  return [{ item, value: shownValue(row, plainValue(config, name)), description: plainText(row) }];
}

function isLater(since: string, compat: Compat): boolean {
  return Number.parseFloat(since) > Number.parseFloat(compat);
}

function shownValue(row: ParameterRow, value: Value): string {
  if (value instanceof Secret) return value.toString();
  if (typeof value === "boolean") return value ? "1" : "0";
  if (typeof value === "object") return value.join(row.type === "list" ? row.separator : ",");
  if (row.type === "enum") return enumNumber(row, String(value));
  if (row.type === "int" && row.octal === true) return Number(value).toString(8).padStart(4, "0");
  return String(value);
}

function enumNumber(row: ParameterRow & { type: "enum" }, value: string): string {
  if (row.ordinals === "names") return value;
  const index = row.values.indexOf(value);
  return String(row.ordinals?.[index] ?? index + 1);
}

/** Without the marks of the documentation. */
export function plainText(row: ParameterRow): string {
  return row.about.replaceAll("`", "");
}

function nodeRows({ id, hostname, pgpoolPort, wdPort }: NodeConfig): readonly StatusRow[] {
  return [
    slotRow("hostname", id, hostname),
    slotRow("pgpool_port", id, String(pgpoolPort)),
    slotRow("wd_port", id, String(wdPort)),
  ];
}

function heartbeatRows({ id, heartbeats }: NodeConfig): readonly StatusRow[] {
  const [first] = heartbeats;
  if (first === undefined) return [];
  const devices = heartbeats.map(({ device }) => device);
  return [
    slotRow("heartbeat_hostname", id, heartbeats.map(({ hostname }) => hostname).join(";")),
    slotRow("heartbeat_device", id, devices.every((each) => each === "") ? "" : devices.join(";")),
    slotRow("heartbeat_port", id, String(first.port)),
  ];
}

function backendRows(
  config: Config,
  backend: BackendConfig,
  live: LiveStatus,
): readonly StatusRow[] {
  const { id } = backend;
  const total = config.backends.reduce((sum, { weight }) => sum + weight, 0);
  const share = total === 0 ? 0 : backend.weight / total;
  const flags = [
    backend.mayFailover ? "ALLOW_TO_FAILOVER" : "DISALLOW_TO_FAILOVER",
    ...(backend.alwaysPrimary ? ["ALWAYS_PRIMARY"] : []),
  ];
  const told = (item: string, value: string, description: string): StatusRow => ({
    item: `${item}${id}`,
    value,
    description,
  });
  return [
    slotRow("backend_hostname", id, backend.hostname),
    slotRow("backend_port", id, String(backend.port)),
    slotRow("backend_weight", id, share.toFixed(6)),
    slotRow("backend_data_directory", id, backend.dataDirectory),
    told("backend_status", live.backendStatus(id), `Status of server ${id}.`),
    told("standby_delay", String(live.standbyDelayBytes(id)), "Bytes behind the primary."),
    slotRow("backend_flag", id, flags.join("|")),
    slotRow("backend_application_name", id, backend.applicationName),
  ];
}

function slotRow(name: string, id: number, value: string): StatusRow {
  const row = findRow(name);
  const description = row === null ? "" : plainText(row).replaceAll(/\bN\b/g, String(id));
  return { item: `${name}${id}`, value, description };
}

function cacheRows(config: Config, live: LiveStatus): readonly StatusRow[] {
  return [
    // The item is spelled so in Pgpool-II, unlike the parameter.
    {
      item: "memqcache_cache_oiddir",
      value: config.memqcache_oiddir,
      description: plainText(TABLE.memqcache_oiddir),
    },
    {
      item: "memqcache_stats_start_time",
      value: live.cacheStatsStartTime,
      description: "Since when the query cache counts.",
    },
    {
      item: "memqcache_no_cache_hits",
      value: String(live.cacheMisses),
      description: "SELECTs that the query cache could not answer.",
    },
    {
      item: "memqcache_cache_hits",
      value: String(live.cacheHits),
      description: "SELECTs that the query cache answered.",
    },
  ];
}

const LISTENING = `backend_clustering_mode listen_addresses port unix_socket_directories
unix_socket_group unix_socket_permissions pcp_listen_addresses pcp_port pcp_socket_dir
enable_pool_hba pool_passwd authentication_timeout allow_clear_text_frontend_auth ssl ssl_key
ssl_cert ssl_ca_cert ssl_ca_cert_dir ssl_crl_file ssl_ciphers ssl_prefer_server_ciphers
ssl_ecdh_curve ssl_dh_params_file ssl_passphrase_command`;

const SESSIONS = `listen_backlog_multiplier serialize_accept reserved_connections max_pool
process_management_mode process_management_strategy num_init_children min_spare_children
max_spare_children`;

const SESSIONS_43 = `num_init_children listen_backlog_multiplier serialize_accept
reserved_connections max_pool`;

const UP_TO_REPLICATION = `child_life_time child_max_connections connection_life_time
client_idle_limit log_destination log_line_prefix log_error_verbosity client_min_messages
log_min_messages log_connections log_disconnections log_pcp_processes log_hostname log_statement
log_per_node_statement notice_per_node_statement log_client_messages log_backend_messages
log_standby_delay syslog_facility syslog_ident pid_file_name work_dir connection_cache
reset_query_list replicate_select insert_lock lobj_lock_table replication_stop_on_mismatch
failover_if_affected_tuples_mismatch load_balance_mode ignore_leading_white_space
read_only_function_list write_function_list primary_routing_query_pattern_list
disable_load_balance_on_write dml_adaptive_object_relationship_list statement_level_load_balance
sr_check_period sr_check_user`;

const STREAMING = `sr_check_database delay_threshold delay_threshold_by_time
prefer_lower_delay_standby follow_primary_command user_redirect_preference_list
database_redirect_preference_list app_name_redirect_preference_list allow_sql_comments
health_check_period health_check_timeout health_check_user`;

// 4.3 leaves these passwords out; later releases print stars.
const WITH_PASSWORDS = `sr_check_password ${STREAMING} health_check_password`;
const PASSWORDLESS_43 = STREAMING;

const UP_TO_WATCHDOG = `health_check_database health_check_max_retries health_check_retry_delay
connect_timeout failover_command failback_command failover_on_backend_error
failover_on_backend_shutdown detach_false_primary auto_failback auto_failback_interval
recovery_user recovery_database recovery_1st_stage_command recovery_2nd_stage_command
recovery_timeout search_primary_node_timeout client_idle_limit_in_recovery relcache_expire
relcache_size check_temp_table check_unlogged_table enable_shared_relcache relcache_query_target
use_watchdog wd_ipc_socket_dir wd_lifecheck_method clear_memqcache_on_escalation
wd_escalation_command wd_de_escalation_command trusted_servers trusted_server_command delegate_ip
wd_priority wd_interval ping_path if_cmd_path if_up_cmd if_down_cmd arping_path arping_cmd
wd_heartbeat_keepalive wd_heartbeat_deadtime wd_life_point wd_lifecheck_query wd_lifecheck_dbname
wd_lifecheck_user`;

const CACHE = `memory_cache_enabled memqcache_method memqcache_memcached_host
memqcache_memcached_port memqcache_total_size memqcache_max_num_cache memqcache_expire
memqcache_auto_cache_invalidation memqcache_maxcache memqcache_cache_block_size`;
