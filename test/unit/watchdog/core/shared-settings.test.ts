import { describe, expect, it } from "vitest";
import {
  describeDifference,
  differenceLine,
  differencesFrom,
  sharedSettings,
} from "../../../../src/watchdog/core/shared-settings.ts";
import {
  decodeHello,
  encodeFrame,
  FRAME_BYTES_MAX,
  SETTINGS_MAX,
} from "../../../../src/wire/watchdog/index.ts";
import { configOf, NODE_ID_1, ONE_BACKEND, THREE_NODES } from "../../config/load-text.ts";

const BASE = `${ONE_BACKEND}${THREE_NODES}delegate_ip = '10.0.0.100'
failover_command = 'PGPASSWORD=hunter2 promote %h'
`;
const with_ = (more: string): Readonly<Record<string, string>> =>
  sharedSettings(configOf(`${BASE}${more}`, NODE_ID_1));
const OWN = with_("");

describe("a node is refused", () => {
  it("by nobody who is configured alike", () => {
    expect(describeDifference(OWN, with_(""))).toBe("");
  });

  it.each([
    ["wd_lease_time = 600", 'wd_lease_time is "3000 ms" here and "600 ms" there'],
    ["vip_fence = none", 'vip_fence is "fenced" here and "none" there'],
    ["delegate_ip = '10.0.0.9'", 'delegate_ip is "10.0.0.100" here and "10.0.0.9" there'],
    [
      "enable_consensus_with_half_votes = on",
      'enable_consensus_with_half_votes is "off" here and "on" there',
    ],
    ["wd_port2 = 9001", expect.stringMatching(/^hostnameN and wd_portN is "\w{8}" here/)],
  ])("for %s", (more, told) => {
    expect(describeDifference(OWN, with_(more))).toEqual(told);
    expect(differencesFrom(1, OWN, with_(more))).toEqual([]);
  });

  it("by name also when it does not say one of them at all", () => {
    const { wd_lease_time: _, ...silent } = OWN;
    expect(describeDifference(OWN, silent)).toBe('wd_lease_time is "3000 ms" here and "" there');
  });

  it("in words that are no longer than a line of the log bears", () => {
    const theirs = { ...OWN, delegate_ip: "v".repeat(400), wd_lease_time: "w".repeat(400) };
    expect(describeDifference(OWN, theirs).length).toBeLessThanOrEqual(500);
  });
});

describe("a node is welcome, but what differs is named", () => {
  it.each([
    ["num_init_children = 64", "num_init_children", "32", "64"],
    ["failover_require_consensus = off", "failover_require_consensus", "on", "off"],
    ["backend_weight0 = 3", "backend_weight0", "0", "3"],
    ["backend_hostname0 = 's9'", "backend_hostname0", "server1", "s9"],
    ["backend_flag0 = 'ALWAYS_PRIMARY'", "backend_flag0", expect.any(String), expect.any(String)],
    ["health_check_period0 = 7", "health_check_period0", "0s", "7s"],
    ["wd_lost_node_removal_timeout = 90", "wd_lost_node_removal_timeout", "0", "90s"],
    ["pgpool_port1 = 9998", "pgpool_port1", "9999", "9998"],
  ])("%s", (more, name, here, there) => {
    expect(describeDifference(OWN, with_(more))).toBe("");
    expect(differencesFrom(1, OWN, with_(more))).toEqual([{ nodeId: 1, name, here, there }]);
  });

  it("a server that only one of them has, as well", () => {
    const names = differencesFrom(2, OWN, with_("backend_hostname1 = 's1'\nbackend_port1 = 5433"));
    expect(names).toContainEqual({ nodeId: 2, name: "backend_port1", here: null, there: "5433" });
  });

  it("by what Pgpool-II compares, all of it", () => {
    const seen = `num_init_children listen_backlog_multiplier child_life_time connection_life_time
      child_max_connections client_idle_limit max_pool replication_mode enable_pool_hba
      load_balance_mode replication_stop_on_mismatch allow_clear_text_frontend_auth
      failover_if_affected_tuples_mismatch failover_on_backend_error replicate_select
      connection_cache insert_lock memory_cache_enabled clear_memqcache_on_escalation
      failover_when_quorum_exists failover_require_consensus search_primary_node_timeout
      allow_multiple_failover_requests_from_node client_idle_limit_in_recovery recovery_timeout
      health_check_period0 health_check_max_retries0 health_check_retry_delay0
      health_check_timeout0 backend_hostname0 backend_port0`.split(/\s+/);
    expect(Object.keys(OWN)).toEqual(expect.arrayContaining(seen));
  });

  it("but not a priority, which is each node's own", () => {
    expect(with_("wd_priority = 9")).toEqual(OWN);
  });
});

describe("secrets", () => {
  const theirs = with_("health_check_password = 'sesame'\nfailover_command = 'echo hunter3'");

  it("are only said to differ", () => {
    const differences = differencesFrom(1, OWN, theirs);
    expect(differences).toEqual([
      { nodeId: 1, name: "failover_command", here: null, there: null },
      { nodeId: 1, name: "health_check_password0", here: null, there: null },
    ]);
    expect(differences.map((each) => differenceLine(each, "n1:9999 Linux n1").detail)).toEqual([
      '"failover_command" on this node is not what it is on "n1:9999 Linux n1"',
      '"health_check_password0" on this node is not what it is on "n1:9999 Linux n1"',
    ]);
  });

  it("do not cross the wire, nor does a digest that could be tried without the key", () => {
    const text = JSON.stringify(theirs);
    expect(text).not.toMatch(/sesame|hunter|a long key/);
    const other = with_("health_check_password = 'sesame'\nwd_authkey = 'another key, as long'");
    expect(other["health_check_password0"]).not.toBe(theirs["health_check_password0"]);
  });
});

describe("bounds", () => {
  const many = Array.from({ length: 128 }, (_, id) => {
    return `backend_hostname${id} = 's${id}'\nbackend_port${id} = 5432\nbackend_data_directory${id} = '/${"d".repeat(400)}'\n`;
  }).join("");

  it("hold with the most servers that there can be, whose last one still counts", () => {
    const settings = with_(many);
    expect(Object.keys(settings)).toHaveLength(SETTINGS_MAX);
    const hello = {
      type: "hello" as const,
      nodeId: 0,
      bootId: "ab".repeat(16),
      version: "1",
      name: "n0",
      priority: 1,
      settings,
    };
    const frame = encodeFrame(hello);
    expect(frame.length).toBeLessThan(FRAME_BYTES_MAX / 2);
    expect(decodeHello(frame)).toEqual({ ok: true, value: hello });
    expect(differencesFrom(1, settings, with_(`${many}backend_port127 = 5433\n`))).toHaveLength(1);
  });

  it("hold for what a peer makes up", () => {
    const theirs = Object.fromEntries(
      Array.from({ length: 500 }, (_, i) => [`${i}`.padStart(400, "n"), "v".repeat(600)]),
    );
    const differences = differencesFrom(1, OWN, theirs);
    expect(differences.length).toBeLessThanOrEqual(40);
    expect(JSON.stringify(differences).length).toBeLessThan(40 * 1000);
  });
});

it("is told in Pgpool-II's words", () => {
  const difference = { nodeId: 1, name: "max_pool", here: "4", there: null };
  expect(differenceLine(difference, "n1:9999 Linux n1")).toEqual({
    message: 'configurations value for "max_pool" on node "n1:9999 Linux n1" is different',
    detail: '"max_pool" on this node is 4 while on "n1:9999 Linux n1" is not set',
  });
});
