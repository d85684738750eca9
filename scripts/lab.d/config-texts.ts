/**
 * The text of every configuration file of the lab. Values only: nothing is read or written here,
 * and every path that comes in was checked to hold no blank or quote.
 */
import { join } from "node:path";
import {
  ACCOUNTS,
  files,
  serversOf,
  SUBNET,
  VIP,
  type Host,
  type LabPlan,
  type LabProfile,
} from "./layout.ts";

export interface Secrets {
  readonly authkey: string;
  /** Of every database account but `app` in loopback mode, where other people share the network. */
  readonly password: string;
}

/** Included from the data directory by a relative path, so a base backup cannot mix hosts up. */
export function postgresqlConf(host: Host, hosts: readonly Host[]): string {
  // Every host has the same list: its own name in it never matches, and after a promotion the
  // new primary already knows whom to wait for.
  const names = hosts.map((each) => each.name).join(", ");
  return `# PostgreSQL of host ${host.name} in the lab.
listen_addresses = '${host.address}'
port = ${host.ports.postgres}
cluster_name = '${host.name}'
unix_socket_directories = '${socketDirectory(host)}'
max_connections = 200
shared_buffers = 32MB
dynamic_shared_memory_type = mmap
password_encryption = 'scram-sha-256'
wal_level = replica
wal_log_hints = on
wal_keep_size = 256MB
max_wal_senders = 20
max_replication_slots = 20
max_slot_wal_keep_size = 1GB
hot_standby = on
synchronous_commit = on
synchronous_standby_names = '${hosts.length > 1 ? `FIRST 1 (${names})` : ""}'
wal_retrieve_retry_interval = 500ms
wal_receiver_timeout = 5s
wal_sender_timeout = 5s
log_line_prefix = '%m [%p] %q%u@%d '
jit = off
`;
}

/**
 * Inside the namespaces only root can reach the addresses, so `trust` gives nothing away; on the
 * loopback everybody on the machine can, so there every account has a password.
 */
export function pgHbaConf(plan: LabPlan): string {
  const isLoopback = plan.mode === "loopback";
  const network = isLoopback ? "127.0.0.1/32" : SUBNET;
  const others = isLoopback ? "scram-sha-256" : "trust";
  return `# TYPE  DATABASE     USER  ADDRESS  METHOD
# Only the owner of the server can enter the directory of the socket.
local   all          all   trust
host    all          ${ACCOUNTS.application.user}  ${network}  scram-sha-256
host    all          all   ${network}  ${others}
host    replication  all   ${network}  ${others}
`;
}

export function pgpoolConf(
  plan: LabPlan,
  host: Host,
  hosts: readonly Host[],
  secrets: Secrets,
  extra: readonly string[],
): string {
  const isLoopback = plan.mode === "loopback";
  const scripts = join(plan.repository, "scripts");
  const everyPlaceholder = `%d "%h" %p "%D" %m "%H" %M %P %r "%R" "%N" %S`;
  const password = isLoopback ? secrets.password : "";
  return `# pgquorum on host ${host.name} of the lab, profile ${plan.profile}.
backend_clustering_mode = 'streaming_replication'
listen_addresses = '${isLoopback ? host.address : "*"}'
port = ${host.ports.pgpool}
unix_socket_directories = '${host.run}'
pcp_listen_addresses = '${isLoopback ? host.address : "*"}'
pcp_port = ${host.ports.pcp}
pcp_socket_dir = '${host.run}'
pid_file_name = '${files.pidFile(host)}'
work_dir = '${join(host.directory, "work")}'
log_line_prefix = '%m: %a pid %p: '

${serversOf(plan)
  .map((each) => backendLines(each))
  .join("\n")}
num_workers = 2
num_init_children = 64
max_pool = 4
load_balance_mode = on
statement_level_load_balance = on
enable_pool_hba = on
pool_passwd = 'pool_passwd'

sr_check_user = '${ACCOUNTS.monitor.user}'
sr_check_password = '${password}'
sr_check_database = 'postgres'
health_check_user = '${ACCOUNTS.monitor.user}'
health_check_password = '${password}'
health_check_database = 'postgres'
${checkLines(plan.profile)}
failover_command = '${join(scripts, "failover.sh")} ${everyPlaceholder}'
${isLoopback ? "" : `failover_ready_command = '${join(scripts, "failover_ready.sh")} %d "%h"'\n`}demote_command = '${join(scripts, "demote.sh")} %a %d "%h" %p "%D" %m "%H" %r "%R"'
follow_primary_command = '${join(scripts, "follow_primary.sh")} ${everyPlaceholder}'
recovery_1st_stage_command = 'recovery_1st_stage'

use_watchdog = on
wd_authkey = '${secrets.authkey}'
wd_cluster_name = 'lab'
wd_ipc_socket_dir = '${host.run}'
${isLoopback ? "" : `delegate_ip = '${VIP}'\n`}${hosts.map((each) => nodeLines(each)).join("\n")}
${extra.map((line) => `${line}\n`).join("")}`;
}

function backendLines(host: Host): string {
  return `backend_hostname${host.id} = '${host.address}'
backend_port${host.id} = ${host.ports.postgres}
backend_weight${host.id} = 1
backend_data_directory${host.id} = '${host.pgdata}'
backend_application_name${host.id} = '${host.name}'
backend_flag${host.id} = 'ALLOW_TO_FAILOVER'
`;
}

function nodeLines(host: Host): string {
  return `hostname${host.id} = '${host.address}'
pgpool_port${host.id} = ${host.ports.pgpool}
wd_port${host.id} = ${host.ports.watchdog}
heartbeat_hostname${host.id} = '${host.address}'
heartbeat_port${host.id} = ${host.ports.heartbeat}
`;
}

/** `default` keeps what Pgpool-II's own samples use; `fast` is for a demonstration and for tests, and
 * `lan` for a quiet network. */
function checkLines(profile: LabProfile): string {
  if (profile !== "default") {
    return `sr_check_period = 1
health_check_period = 1
health_check_timeout = 2
health_check_max_retries = 1
health_check_retry_delay = 1
wd_lease_time = ${profile === "lan" ? 300 : 600}
wd_heartbeat_keepalive = 1
wd_heartbeat_deadtime = 3
`;
  }
  return `sr_check_period = 10
health_check_period = 5
health_check_timeout = 30
health_check_max_retries = 3
health_check_retry_delay = 1
`;
}

export function poolHbaConf(plan: LabPlan): string {
  const network = plan.mode === "loopback" ? "127.0.0.1/32" : SUBNET;
  const others = plan.mode === "loopback" ? "scram-sha-256" : "trust";
  return `# TYPE  DATABASE  USER  ADDRESS  METHOD
host    all       ${ACCOUNTS.application.user}   ${network}  scram-sha-256
host    all       all   ${network}  ${others}
`;
}

export function poolPasswd(plan: LabPlan, secrets: Secrets): string {
  const { user, password } = ACCOUNTS.application;
  const application = `${user}:TEXT${password}\n`;
  return plan.mode === "loopback"
    ? `${application}postgres:TEXT${secrets.password}\n`
    : application;
}

/** Stands beside the node's other files so that `ssh HOST` means this host, proven by its key. */
export function sshdConfig(plan: LabPlan, host: Host): string {
  const ssh = join(plan.directory, "ssh");
  // PAM decides on the account: Debian gives postgres a locked password, which sshd alone refuses.
  return `ListenAddress ${host.address}:22
HostKey ${join(host.etc, "ssh_host_ed25519_key")}
PidFile ${join(host.run, "sshd.pid")}
AuthorizedKeysFile ${join(ssh, "authorized_keys")}
StrictModes no
UsePAM yes
UseDNS no
PrintMotd no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowUsers postgres root
`;
}

export function sshConfig(plan: LabPlan): string {
  const ssh = join(plan.directory, "ssh");
  return `Host *
  User postgres
  IdentityFile ${join(ssh, "id_ed25519")}
  IdentitiesOnly yes
  UserKnownHostsFile ${join(ssh, "known_hosts")}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 3
  LogLevel ERROR
`;
}

/** A directory of its own, open to the server's owner alone: see `pgHbaConf`. */
export function socketDirectory(host: Host): string {
  return join(host.directory, "socket");
}
