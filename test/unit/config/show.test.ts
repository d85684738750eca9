import { expect, test } from "vitest";
import { showPoolStatus } from "../../../src/config/index.ts";
import { configOf, NODE_ID_1, ONE_BACKEND, THREE_NODES } from "./load-text.ts";

const TWO_BACKENDS = `${ONE_BACKEND}backend_weight0 = 1
backend_hostname1 = 'server2'
backend_port1 = 5433
backend_weight1 = 3
backend_flag1 = 'DISALLOW_TO_FAILOVER|ALWAYS_PRIMARY'
`;

type Compat = Parameters<typeof showPoolStatus>[1];

function show(text: string, compat: Compat): ReadonlyMap<string, string> {
  const rows = showPoolStatus(configOf(text, NODE_ID_1), compat);
  expect(new Set(rows.map(({ item }) => item)).size).toBe(rows.length);
  return new Map(rows.map(({ item, value }) => [item, value]));
}

test("4.3 shows its 152 rows for two backends, then our own", () => {
  const items = [...show(TWO_BACKENDS, "4.3").keys()];
  expect(items.indexOf("num_workers")).toBe(152);
  expect(items.slice(0, 4)).toEqual([
    "backend_clustering_mode",
    "listen_addresses",
    "port",
    "socket_dir",
  ]);
  expect(items.slice(150, 152)).toEqual(["backend_flag1", "backend_application_name1"]);
});

test("names and rows follow the release that is asked for", () => {
  const has = (compat: Compat, ...names: readonly string[]): readonly boolean[] => {
    const shown = show(TWO_BACKENDS, compat);
    return names.map((name) => shown.has(name));
  };
  expect(has("4.3", "delegate_IP", "delegate_ip", "logdir", "work_dir")).toEqual([
    true,
    false,
    true,
    false,
  ]);
  expect(has("4.4", "delegate_IP", "delegate_ip", "logdir", "work_dir")).toEqual([
    false,
    true,
    true,
    false,
  ]);
  expect(has("4.7", "work_dir", "log_backend_messages", "recovery_database")).toEqual([
    true,
    true,
    true,
  ]);
  expect(has("4.5", "log_pcp_processes", "log_backend_messages")).toEqual([true, false]);
});

test("the order is Pgpool-II's: num_init_children and the watched devices moved after 4.3", () => {
  const text = TWO_BACKENDS + THREE_NODES;
  const before = [...show(text, "4.3").keys()];
  const after = [...show(text, "4.7").keys()];
  const isBefore = (items: readonly string[], left: string, right: string): boolean =>
    items.indexOf(left) < items.indexOf(right);
  expect(isBefore(before, "num_init_children", "max_pool")).toBe(true);
  expect(isBefore(after, "num_init_children", "max_pool")).toBe(false);
  expect(isBefore(before, "wd_monitoring_interfaces_list", "hostname0")).toBe(false);
  expect(isBefore(after, "wd_monitoring_interfaces_list", "hostname0")).toBe(true);
  const nodes = after.slice(after.indexOf("hostname0"), after.indexOf("memory_cache_enabled"));
  expect(nodes.join(" ")).toBe(
    "hostname0 pgpool_port0 wd_port0 hostname1 pgpool_port1 wd_port1 hostname2 pgpool_port2 wd_port2 " +
      "heartbeat_hostname0 heartbeat_device0 heartbeat_port0 " +
      "heartbeat_hostname1 heartbeat_device1 heartbeat_port1 " +
      "heartbeat_hostname2 heartbeat_device2 heartbeat_port2",
  );
});

test("booleans and choices are numbers, modes octal, shares fractions", () => {
  const shown = show(
    `${TWO_BACKENDS}${THREE_NODES}log_connections = on\nclient_min_messages = error
log_min_messages = log\nbackend_clustering_mode = raw\nlog_error_verbosity = terse
check_temp_table = off\nsyslog_facility = local3\nwd_lifecheck_method = external
reset_query_list = 'ABORT;DISCARD ALL'\n`,
    "4.7",
  );
  const expected = {
    log_connections: "1",
    log_disconnections: "0",
    client_min_messages: "20",
    log_min_messages: "15",
    backend_clustering_mode: "5",
    log_error_verbosity: "0",
    check_temp_table: "3",
    syslog_facility: "LOCAL3",
    wd_lifecheck_method: "3",
    log_standby_delay: "2",
    unix_socket_permissions: "0777",
    authentication_timeout: "60",
    reset_query_list: "ABORT;DISCARD ALL",
    backend_weight0: "0.250000",
    backend_weight1: "0.750000",
    backend_flag0: "ALLOW_TO_FAILOVER",
    backend_flag1: "DISALLOW_TO_FAILOVER|ALWAYS_PRIMARY",
    heartbeat_hostname1: "server2;10.1.0.12",
    heartbeat_device1: ";eth1",
    heartbeat_device0: "",
    pgpool_compat_version: "4.7",
  };
  expect(Object.fromEntries(shown)).toMatchObject(expected);
});

test("passwords are stars, or nothing when they are empty", () => {
  const shown = show(`${TWO_BACKENDS}sr_check_password = 'hidden'\n`, "4.7");
  expect(shown.get("sr_check_password")).toBe("*****");
  expect(shown.get("wd_lifecheck_password")).toBe("");
  expect([...shown.values()].join()).not.toContain("hidden");
  expect(show(TWO_BACKENDS, "4.3").has("sr_check_password")).toBe(false);
});

test("what only a running node knows is put in by the caller", () => {
  const rows = showPoolStatus(configOf(TWO_BACKENDS), "4.7", {
    backendStatus: (id) => (id === 0 ? "up" : "down"),
    standbyDelayBytes: (id) => id * 100,
    cacheStatsStartTime: "now",
    cacheMisses: 7,
    cacheHits: 8,
    maintenance: "on since today",
  });
  const shown = new Map(rows.map(({ item, value }) => [item, value]));
  expect(Object.fromEntries(shown)).toMatchObject({
    backend_status0: "up",
    backend_status1: "down",
    standby_delay1: "100",
    memqcache_stats_start_time: "now",
    memqcache_no_cache_hits: "7",
    memqcache_cache_hits: "8",
    maintenance: "on since today",
  });
});
