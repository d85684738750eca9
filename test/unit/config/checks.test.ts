import { expect, test } from "vitest";
import { isIpAddress, isLoopback } from "../../../src/config/addresses.ts";
import { complaints, NODE_ID_1, ONE_BACKEND, THREE_NODES } from "./load-text.ts";

/** Lines behind a configuration that is right; each case adds what is wrong. */
const BACKENDS = [
  [
    "no server",
    "",
    ["warning: no PostgreSQL server is configured (set backend_hostname0 and backend_port0)"],
  ],
  [
    "a host name without port",
    `${ONE_BACKEND}backend_hostname1 = 'server2'`,
    ["error: backend_hostname1 has no effect: backend_port1 is not set (set backend_port1 = 5432)"],
  ],
  [
    "other values of a server that does not exist",
    `${ONE_BACKEND}backend_weight1 = 1`,
    ["warning: backend_weight1 has no effect: backend_port1 is not set (set backend_port1 = 5432)"],
  ],
  ["an empty host name, as in samples", `${ONE_BACKEND}backend_hostname1 = ''`, []],
  [
    "a port that is refused, once",
    "backend_hostname0 = 'a'\nbackend_port0 = 80",
    ['error: invalid value "80" for "backend_port0" (expected a whole number from 1024 to 65535)'],
  ],
  [
    "one server under two numbers",
    `${ONE_BACKEND}backend_hostname1 = 'server1'\nbackend_port1 = 5432\nbackend_weight1 = 1`,
    ["error: backends 0 and 1 are both server1:5432 (give each server one number only)"],
  ],
  [
    "an unknown flag",
    `${ONE_BACKEND}backend_flag0 = 'ALLOW_FAILOVER'`,
    [
      'error: backend_flag0 holds the unknown flag "ALLOW_FAILOVER" (flags are ALLOW_TO_FAILOVER, DISALLOW_TO_FAILOVER, ALWAYS_PRIMARY)',
    ],
  ],
  [
    "flags that contradict each other",
    `${ONE_BACKEND}backend_flag0 = 'ALLOW_TO_FAILOVER|DISALLOW_TO_FAILOVER'`,
    ["error: backend_flag0 allows and disallows failover (keep one of the two flags)"],
  ],
  [
    "two primaries",
    `${ONE_BACKEND}backend_weight0 = 1
backend_flag0 = 'ALWAYS_PRIMARY'
backend_port1 = 5433
backend_flag1 = 'ALWAYS_PRIMARY'`,
    [
      "error: more than one backend has the flag ALWAYS_PRIMARY (there is one primary: keep one flag)",
    ],
  ],
  [
    "a mode that is not there yet",
    `${ONE_BACKEND}backend_clustering_mode = 'native_replication'
failover_when_quorum_exists = on`,
    [
      "error: backend_clustering_mode = native_replication is not supported yet (supported are streaming_replication, logical_replication and raw)",
      "warning: failover_when_quorum_exists is always off in replication modes (remove it)",
    ],
  ],
  [
    "the old switch of that mode",
    `${ONE_BACKEND}replication_mode = on`,
    [
      "error: replication_mode (native replication) is not supported yet (remove it; supported are streaming_replication, logical_replication and raw)",
    ],
  ],
  ["raw mode without sr_check_user", "backend_port0 = 5432\nbackend_clustering_mode = raw", []],
  [
    "streaming without sr_check_user",
    "backend_port0 = 5432",
    [
      "warning: sr_check_user is empty: the servers cannot be asked which is the primary (name a user with the role pg_monitor)",
    ],
  ],
  [
    "thresholds of delays that nobody measures",
    `${ONE_BACKEND}sr_check_period = 0\ndelay_threshold = 5`,
    [
      "warning: delay_threshold has no effect while sr_check_period is 0: nobody measures delays (set sr_check_period = 10)",
    ],
  ],
  [
    "a command for delays that do not count",
    `${ONE_BACKEND}delay_threshold = 5\nreplication_delay_source_cmd = 'x'`,
    [
      "warning: replication_delay_source_cmd has no effect without delay_threshold_by_time (set delay_threshold_by_time = 10s)",
    ],
  ],
  [
    "health checks without user",
    `${ONE_BACKEND}health_check_period = 5`,
    [
      "warning: health checks of backend 0 are on, but health_check_user is empty (name a user who may log in)",
    ],
  ],
  [
    "a choice among standbys where the primary is fixed",
    `${ONE_BACKEND}backend_flag0 = 'ALWAYS_PRIMARY'\nfailover_candidate = lsn`,
    [
      "warning: failover_candidate = lsn chooses nobody: backend 0 has the flag ALWAYS_PRIMARY (remove it, because somebody else decides who the primary is; or remove ALWAYS_PRIMARY from backend_flag0)",
    ],
  ],
  [
    "load balancing without weights",
    `${ONE_BACKEND}backend_port1 = 5433`,
    [
      "warning: load_balance_mode is on, but every backend_weightN is 0: reads are not spread (set backend_weightN = 1 for each server)",
    ],
  ],
] as const;

const VALUES = [
  ["pool modes of users and databases", "pool_mode_list = 'app/*:transaction, */old:session'", []],
  [
    "entries of pool_mode_list that mean nothing",
    "pool_mode_list = 'app:transaction,app/x:statement,/x:session'",
    [
      'error: "app:transaction" in pool_mode_list is not user/database:mode (write user/database:session or user/database:transaction; * stands for any name)',
      'error: "statement" in pool_mode_list is no pool mode (write user/database:session or user/database:transaction; * stands for any name)',
      'error: "/x:session" in pool_mode_list is not user/database:mode (write user/database:session or user/database:transaction; * stands for any name)',
    ],
  ],
  [
    "a bound that no pool of its size fits into",
    "pool_mode = transaction\nmax_db_connections = 5",
    [
      "warning: max_db_connections (5) is smaller than pool_size (20) (no pool can grow to pool_size)",
    ],
  ],
  [
    "one port for clients and administrators",
    "port = 9898",
    ["error: port and pcp_port are both 9898 (give one of them another number)"],
  ],
  [
    "nowhere to connect to",
    "listen_addresses = ''\nunix_socket_directories = ''",
    [
      "error: no client could connect: listen_addresses and unix_socket_directories are empty (set one of them)",
    ],
  ],
  [
    "a relative directory",
    "work_dir = 'state'",
    ['error: "state" in work_dir is no absolute path (begin it with /)'],
  ],
  [
    "a socket path that the kernel does not take",
    `unix_socket_directories = '/${"d".repeat(100)}'`,
    [
      `error: the path of the socket file in unix_socket_directories is too long: "/${"d".repeat(100)}/.s.PGSQL.9999" (use a shorter directory: 107 bytes are the most)`,
    ],
  ],
  [
    "an unknown log destination",
    "log_destination = 'stderr,sislog'",
    [
      'error: log_destination holds "sislog" (expected stderr, syslog, jsonlog, with commas between them)',
    ],
  ],
  ["known log destinations", "log_destination = 'syslog, jsonlog'", []],
  [
    "results larger than a block",
    "memory_cache_enabled = on\nmemqcache_maxcache = 2MB",
    [
      "error: memqcache_maxcache is not smaller than memqcache_cache_block_size (a result must fit into a block)",
    ],
  ],
  [
    "more reserved connections than there are",
    "reserved_connections = 32",
    [
      "error: reserved_connections leaves no connection for clients (make it smaller than num_init_children)",
    ],
  ],
] as const;

const WATCHDOG = [
  ["three good nodes", THREE_NODES, []],
  [
    "no nodes",
    "use_watchdog = on",
    [
      "error: use_watchdog is on, but no node is configured (set hostname0, wd_port0, pgpool_port0 and so on, for every node)",
    ],
  ],
  [
    "a node id without host name",
    THREE_NODES.replace("hostname1 = 'server2'", "hostname1 = ''").replaceAll(
      /.*_\w+1 = .*\n/g,
      "",
    ),
    [
      "error: this node is number 1, but hostname1 is not set (set it, or correct the number in pgpool_node_id)",
      "notice: with two watchdog nodes, the loss of one ends quorum and the virtual IP (three nodes survive the loss of one)",
    ],
  ],
  [
    "a forgotten host name",
    THREE_NODES.replace("hostname2 = 'server3'", ""),
    [
      "notice: with two watchdog nodes, the loss of one ends quorum and the virtual IP (three nodes survive the loss of one)",
      "error: wd_port2 has no effect: hostname2 is not set (set hostname2, or remove wd_port2)",
    ],
  ],
  [
    "an empty host name, as in samples",
    `${THREE_NODES}hostname3 = ''\nwd_port3 = 9000`,
    ["notice: wd_port3 has no effect: hostname3 is not set (set hostname3, or remove wd_port3)"],
  ],
  [
    "missing ports",
    THREE_NODES.replaceAll(/.*_port2 = .*\n/g, ""),
    [
      "error: watchdog node 2 (server3) has no wd_port2 (set wd_port2 = 9000)",
      "error: watchdog node 2 (server3) has no pgpool_port2 (set pgpool_port2 = 9999)",
      "error: watchdog node 2 (server3) has no heartbeat_port2 (set heartbeat_port2 = 9694)",
    ],
  ],
  [
    "a refused port, once",
    THREE_NODES.replace("wd_port2 = 9000", "wd_port2 = 'x'"),
    ['error: invalid value "x" for "wd_port2" (expected a whole number from 1024 to 65535)'],
  ],
  [
    "another lifecheck, which needs no heartbeat ports",
    `${THREE_NODES.replaceAll(/heartbeat.*\n/g, "")}wd_lifecheck_method = 'external'`,
    [],
  ],
  [
    "no key between hosts",
    THREE_NODES.replace(/wd_authkey.*\n/, ""),
    [
      "error: wd_authkey is empty, but node 0 (server1) is not on loopback (set the same long random text on all nodes)",
    ],
  ],
  [
    "a short key",
    THREE_NODES.replace(/wd_authkey.*\n/, "wd_authkey = 'short'\n"),
    [
      "warning: wd_authkey is short: fewer than 16 characters can be guessed (set the same long random text on all nodes)",
    ],
  ],
  [
    "two nodes with one port on one host",
    THREE_NODES.replace("'server3'", "'server2'"),
    [
      "error: wd_port2 = 9000 is used by nodes 1 and 2 on server2 (give each its own port)",
      "error: pgpool_port2 = 9999 is used by nodes 1 and 2 on server2 (give each its own port)",
      "error: heartbeat_port2 = 9694 is used by nodes 1 and 2 on server2 (give each its own port)",
    ],
  ],
  [
    "one port twice in a node",
    THREE_NODES.replace("pgpool_port2 = 9999", "pgpool_port2 = 9000"),
    ["error: pgpool_port2 = 9000 is used by node 2 twice on server3 (give each its own port)"],
  ],
  [
    "the watchdog on the administrators' port",
    `${THREE_NODES}pcp_port = 9000`,
    ["error: wd_port1 is also this node's pcp_port (give one of them another number)"],
  ],
  [
    "another client port than this node's own",
    `${THREE_NODES}port = 5433`,
    ["warning: pgpool_port1 is 9999, but this node's port is 5433 (make them equal)"],
  ],
  [
    "a dead time that a healthy node exceeds",
    `${THREE_NODES}wd_heartbeat_deadtime = 2`,
    [
      "error: wd_heartbeat_deadtime is not longer than wd_heartbeat_keepalive (every node would count as dead between two heartbeats: make it several times longer)",
    ],
  ],
  [
    "a lifecheck by SQL without a user",
    `${THREE_NODES}wd_lifecheck_method = 'query'\nwd_lifecheck_user = ''`,
    [
      "error: wd_lifecheck_method is query, but wd_lifecheck_user is empty (set wd_lifecheck_user: each node logs in to all of them with it)",
    ],
  ],
  [
    "a lifecheck by SQL",
    `${THREE_NODES}wd_lifecheck_method = 'query'\nwd_lifecheck_user = 'lifecheck'`,
    [],
  ],
  ["trusted servers", `${THREE_NODES}trusted_servers = 'gateway, 10.0.0.1,fe80::1%eth0'`, []],
  [
    "trusted servers that a shell would take amiss",
    `${THREE_NODES}trusted_servers = 'gateway,$(reboot),-f'`,
    [
      'error: "$(reboot)" in trusted_servers is no host name and no address (separate the hosts with commas)',
      'error: "-f" in trusted_servers is no host name and no address (separate the hosts with commas)',
    ],
  ],
  [
    "a test of trusted servers that does not say which",
    `${THREE_NODES}trusted_servers = 'gateway'\ntrusted_server_command = 'ping -c1 10.0.0.1'`,
    [
      "warning: trusted_server_command has no %h, so it tests the same thing for every host (write %h where the host belongs)",
    ],
  ],
  [
    "a virtual IP that is no address",
    `${THREE_NODES}delegate_ip = '10.0.0.100/24'`,
    [
      'error: delegate_ip "10.0.0.100/24" is no IP address (write an address such as 10.0.0.100, without prefix length)',
    ],
  ],
  [
    "a virtual IP that a node has",
    `${THREE_NODES.replace("hostname0 = 'server1'", "hostname0 = '10.0.0.1'")}delegate_ip = '10.0.0.1'`,
    ["error: delegate_ip is the address of node 0 itself (choose an address that no host has)"],
  ],
  [
    "a command to add the address and none to remove it",
    `${THREE_NODES}if_up_cmd = 'x'`,
    [
      "warning: if_up_cmd is set, but if_down_cmd is not (set both, or none to let the node move the address itself)",
    ],
  ],
  [
    "half of the votes being enough",
    `${THREE_NODES}enable_consensus_with_half_votes = on`,
    [
      "warning: enable_consensus_with_half_votes is on: two halves of the nodes can each elect a leader, so one holder of the virtual IP is not guaranteed (set it to off, and use an odd number of nodes)",
    ],
  ],
  [
    "a failover without quorum",
    `${THREE_NODES}failover_when_quorum_exists = off`,
    [
      "warning: failover_when_quorum_exists = off does not act: whoever carries out a failover leads, and to lead takes a quorum (remove it; use an odd number of nodes, or enable_consensus_with_half_votes = on with two. To let one node's finding be enough, as it is in Pgpool-II then, set failover_require_consensus = off)",
    ],
  ],
  [
    "a virtual IP without a fence",
    `${THREE_NODES}delegate_ip = '10.0.0.100'\nvip_fence = none`,
    [
      "warning: vip_fence is none: a node that freezes keeps the virtual IP, so one holder is not guaranteed (set it to auto)",
    ],
  ],
  ["no fence where there is no virtual IP", `${THREE_NODES}vip_fence = none`, []],
  ["both commands", `${THREE_NODES}if_up_cmd = 'x'\nif_down_cmd = 'y'`, []],
  [
    "nodes while the watchdog is off",
    `${THREE_NODES}use_watchdog = off\ndelegate_ip = '10.0.0.1'`,
    [
      "notice: watchdog nodes are configured, but use_watchdog is off (set use_watchdog = on to use them)",
      "warning: delegate_ip has no effect while use_watchdog is off (set use_watchdog = on)",
    ],
  ],
] as const;

/** Without the place, which `load.test.ts` covers. */
function messages(text: string): readonly string[] {
  return complaints(text, NODE_ID_1).map((line) => line.replace(/^[\w./]+(:\d+)?: /, ""));
}

test.each(BACKENDS)("servers: %s", (_name, text, expected) => {
  expect(messages(text)).toEqual(expected);
});

test.each(VALUES)("values: %s", (_name, text, expected) => {
  expect(messages(ONE_BACKEND + text)).toEqual(expected);
});

test.each(WATCHDOG)("watchdog: %s", (_name, text, expected) => {
  expect(messages(ONE_BACKEND + text)).toEqual(expected);
});

test("an empty key is enough where every node is on loopback", () => {
  const text = THREE_NODES.replace(/wd_authkey.*\n/, "")
    .replaceAll(/'server\d/g, "'127.0.0.1")
    .replaceAll(/(port)(\d) = 9(\d+)/g, "$1$2 = 1$2$3");
  expect(messages(`${ONE_BACKEND}${text}port = 11999`)).toEqual([]);
});

test("a finding about a value stands at its line", () => {
  expect(complaints(`${ONE_BACKEND}\nport = 9898\n`)[0]).toMatch(/^pgpool.conf:5: error: port and/);
  expect(complaints(`${ONE_BACKEND}\npcp_port = 9999\nport = 9999\n`)[0]).toMatch(
    /^pgpool.conf:5: error: port and/,
  );
});

test.each([
  ["10.0.0.1", true],
  ["255.255.255.255", true],
  ["256.0.0.1", false],
  ["10.0.0", false],
  ["10.0.0.01", false],
  ["10.0.0.1/24", false],
  ["::", true],
  ["::1", true],
  ["fe80::1", true],
  ["2001:db8:1:2:3:4:5:6", true],
  ["::ffff:10.0.0.1", true],
  ["1:2:3:4:5:6:10.0.0.1", true],
  ["2001:db8:1:2:3:4:5", false],
  ["2001:db8:1:2:3:4:5:6:7", false],
  ["1:2:3:4:5:6:7::8", false],
  ["1::2::3", false],
  ["10.0.0.1::", false],
  [":1", false],
  ["fe80::1%eth0", false],
  ["12345::", false],
  ["", false],
  ["server1", false],
])("%j is an IP address: %s", (text, expected) => {
  expect(isIpAddress(text)).toBe(expected);
});

test.each([
  ["localhost", true],
  ["127.0.0.1", true],
  ["127.8.8.8", true],
  ["::1", true],
  ["10.0.0.1", false],
  ["127.example.org", false],
  ["server1", false],
])("%j is loopback: %s", (text, expected) => {
  expect(isLoopback(text)).toBe(expected);
});
