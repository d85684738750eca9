/**
 * What the nodes of one cluster should have in common, as each tells the others in its hello.
 * Where safety stands on it, a node with another value is refused; all else is only told.
 */
import { createHash, createHmac } from "node:crypto";
import {
  settingText,
  type BackendConfig,
  type Config,
  type PlainName,
} from "../../config/index.ts";
import type { SettingDifference } from "../../wire/ipc/index.ts";
import { SETTINGS_MAX, type SharedSettings } from "../../wire/watchdog/index.ts";

const MEMBERS = "hostnameN and wd_portN";

/**
 * A lease is safe only while every follower promises for as long as the leader believes, a
 * take-over only while everybody knows whether a kernel lets go of the VIP by itself, and a
 * majority only while everybody counts the same members in the same way.
 */
const REQUIRED: readonly string[] = [
  "wd_lease_time",
  "vip_fence",
  "delegate_ip",
  "enable_consensus_with_half_votes",
  MEMBERS,
];

/** What Pgpool-II 4.3.5 compares when a node joins, backends apart. */
const COMPARED_BY_PGPOOL: readonly PlainName[] = [
  "num_init_children",
  "listen_backlog_multiplier",
  "child_life_time",
  "connection_life_time",
  "child_max_connections",
  "client_idle_limit",
  "max_pool",
  "replication_mode",
  "enable_pool_hba",
  "load_balance_mode",
  "replication_stop_on_mismatch",
  "allow_clear_text_frontend_auth",
  "failover_if_affected_tuples_mismatch",
  "failover_on_backend_error",
  "replicate_select",
  "connection_cache",
  "insert_lock",
  "memory_cache_enabled",
  "clear_memqcache_on_escalation",
  "failover_when_quorum_exists",
  "failover_require_consensus",
  "allow_multiple_failover_requests_from_node",
  "search_primary_node_timeout",
  "client_idle_limit_in_recovery",
  "recovery_timeout",
];

/** What decides beside them who is detached, where a statement goes, and who counts as alive. */
const COMPARED_TOO: readonly PlainName[] = [
  "backend_clustering_mode",
  "authentication_timeout",
  "reset_query_list",
  "statement_level_load_balance",
  "disable_load_balance_on_write",
  "allow_sql_comments",
  "read_only_function_list",
  "write_function_list",
  "primary_routing_query_pattern_list",
  "delay_threshold",
  "delay_threshold_by_time",
  "prefer_lower_delay_standby",
  "sr_check_period",
  "sr_check_user",
  "sr_check_password",
  "sr_check_database",
  "failover_on_backend_shutdown",
  "detach_false_primary",
  "auto_failback",
  "auto_failback_interval",
  "failover_command",
  "failback_command",
  "follow_primary_command",
  "wd_escalation_command",
  "wd_de_escalation_command",
  "memqcache_method",
  "memqcache_expire",
  "memqcache_auto_cache_invalidation",
  "check_temp_table",
  "check_unlogged_table",
  "ssl",
  "wd_lifecheck_method",
  "wd_interval",
  "wd_heartbeat_keepalive",
  "wd_heartbeat_deadtime",
  "wd_life_point",
  "wd_remove_shutdown_nodes",
  "wd_lost_node_removal_timeout",
  "wd_no_show_node_removal_timeout",
];

/** Said instead of a value that nobody should read in a log: the nodes compare a digest of it. */
const HIDDEN = "hidden:";
const TEXT_MAX = 160;
const REST = "the settings of further backends";

/** By the names of the parameters; bounded, however many servers there are. */
export function sharedSettings(config: Config): SharedSettings {
  const members = config.nodes.map((node) => `${node.id} ${node.hostname} ${node.wdPort}`);
  const required: readonly (readonly [string, string])[] = [
    ["wd_lease_time", `${config.wd_lease_time} ms`],
    ["vip_fence", config.vip_fence === "none" ? "none" : "fenced"],
    ["delegate_ip", config.delegate_ip],
    ["enable_consensus_with_half_votes", onOff(config.enable_consensus_with_half_votes)],
    [MEMBERS, sha256(members.join("\n"))],
  ];
  const entries = [
    ...required,
    ...[...COMPARED_BY_PGPOOL, ...COMPARED_TOO].map((name) => [name, plainText(config, name)]),
    ...config.nodes.map((node) => [`pgpool_port${node.id}`, String(node.pgpoolPort)]),
    ...config.backends.flatMap((backend) => backendEntries(config, backend)),
  ] as readonly (readonly [string, string])[];
  if (entries.length <= SETTINGS_MAX) return Object.fromEntries(entries);
  const rest = sha256(JSON.stringify(entries.slice(SETTINGS_MAX - 1)));
  return Object.fromEntries([...entries.slice(0, SETTINGS_MAX - 1), [REST, rest]]);
}

const DETAIL_MAX = 500;

/** Names what keeps two nodes apart, with both values; empty when nothing does. */
export function describeDifference(own: SharedSettings, theirs: SharedSettings): string {
  const differing = REQUIRED.filter((name) => own[name] !== theirs[name]);
  const told = differing.map((name) => {
    return `${name} is "${own[name] ?? ""}" here and "${theirs[name] ?? ""}" there`;
  });
  return told.join("; ").slice(0, DETAIL_MAX);
}

/** More of one node are not named: its file is another altogether. */
const DIFFERENCES_MAX = 40;

/** What else differs from what node `nodeId` has said, by name. */
export function differencesFrom(
  nodeId: number,
  own: SharedSettings,
  theirs: SharedSettings,
): readonly SettingDifference[] {
  const names = new Set([...Object.keys(own), ...Object.keys(theirs)]);
  return [...names]
    .filter((name) => !REQUIRED.includes(name) && own[name] !== theirs[name])
    .slice(0, DIFFERENCES_MAX)
    .map((name) => {
      const isHidden = [own[name], theirs[name]].some((text) => text?.startsWith(HIDDEN));
      const here = isHidden ? null : (own[name] ?? null);
      const there = isHidden ? null : (theirs[name] ?? null);
      return { nodeId, name: name.slice(0, TEXT_MAX), here, there: there?.slice(0, 512) ?? null };
    });
}

/** Pgpool-II's words for it. */
export function differenceLine(
  { name, here, there }: SettingDifference,
  nodeName: string,
): { readonly message: string; readonly detail: string } {
  const values =
    here === null && there === null
      ? `"${name}" on this node is not what it is on "${nodeName}"`
      : `"${name}" on this node is ${here ?? "not set"} while on "${nodeName}" is ${there ?? "not set"}`;
  return {
    message: `configurations value for "${name}" on node "${nodeName}" is different`,
    detail: values,
  };
}

function plainText(config: Config, name: PlainName): string {
  const { text, isSecret } = settingText(config, name);
  // A command may have a password in it.
  return isSecret || name.endsWith("_command") ? hidden(config, text) : short(text);
}

function backendEntries(config: Config, backend: BackendConfig): (readonly [string, string])[] {
  const { id, healthCheck } = backend;
  const flags = [
    backend.mayFailover ? "ALLOW_TO_FAILOVER" : "DISALLOW_TO_FAILOVER",
    ...(backend.alwaysPrimary ? ["ALWAYS_PRIMARY"] : []),
  ];
  return [
    [`backend_hostname${id}`, short(backend.hostname)],
    [`backend_port${id}`, String(backend.port)],
    [`backend_weight${id}`, String(backend.weight)],
    [`backend_data_directory${id}`, short(backend.dataDirectory)],
    [`backend_flag${id}`, flags.join("|")],
    [`backend_application_name${id}`, short(backend.applicationName)],
    [`health_check_period${id}`, `${healthCheck.period}s`],
    [`health_check_timeout${id}`, `${healthCheck.timeout}s`],
    [`health_check_max_retries${id}`, String(healthCheck.maxRetries)],
    [`health_check_retry_delay${id}`, `${healthCheck.retryDelay}s`],
    [`connect_timeout${id}`, `${healthCheck.connectTimeout}ms`],
    [`health_check_user${id}`, short(healthCheck.user)],
    [`health_check_password${id}`, hidden(config, healthCheck.password.reveal())],
    [`health_check_database${id}`, short(healthCheck.database)],
  ];
}

/** Long lists are told apart by their end. */
function short(text: string): string {
  if (text.length <= TEXT_MAX) return text;
  return `${text.slice(0, TEXT_MAX - 20)}… (${sha256(text)})`;
}

/** Under the key of the cluster, so that a short password cannot be found by trying. */
function hidden(config: Config, text: string): string {
  if (text === "") return `${HIDDEN}none`;
  const digest = createHmac("sha256", config.wd_authkey.reveal()).update(text).digest("hex");
  return `${HIDDEN}${digest.slice(0, 16)}`;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}

function onOff(value: boolean): string {
  return value ? "on" : "off";
}
