import { isIpAddress, isLoopback } from "./addresses.ts";
import { checkLifecheck } from "./check-lifecheck.ts";
import type { Config, NodeConfig } from "./config.ts";
import { finding } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { placeOf } from "./settings.ts";
import type { Settings } from "./settings.ts";

export function checkWatchdog(config: Config, settings: Settings): readonly Finding[] {
  const always = checkVip(config, settings);
  if (!config.use_watchdog) return [...always, ...checkSwitchedOff(config, settings)];
  return [
    ...always,
    ...checkMembership(config, settings),
    ...checkUnnamed(config, settings),
    ...config.nodes.flatMap((node) => checkPorts(config, settings, node)),
    ...checkOwnPorts(config, settings),
    ...checkSharedPorts(config, settings),
    ...checkKey(config, settings),
    ...checkTimes(config, settings),
    ...checkLifecheck(config, settings),
    ...checkPromises(config, settings),
  ];
}

function checkSwitchedOff(config: Config, settings: Settings): readonly Finding[] {
  const findings: Finding[] = [];
  const [node] = config.nodes;
  if (node !== undefined) {
    const place = placeOf(config, settings, `hostname${node.id}`);
    const message = "watchdog nodes are configured, but use_watchdog is off";
    findings.push(finding("notice", place, message, "set use_watchdog = on to use them"));
  }
  if (config.delegate_ip !== "") {
    const place = placeOf(config, settings, "delegate_ip");
    const message = "delegate_ip has no effect while use_watchdog is off";
    findings.push(finding("warning", place, message, "set use_watchdog = on"));
  }
  return findings;
}

function checkVip(config: Config, settings: Settings): readonly Finding[] {
  const findings: Finding[] = [];
  const place = placeOf(config, settings, "delegate_ip");
  if (config.delegate_ip !== "" && !isIpAddress(config.delegate_ip)) {
    const message = `delegate_ip "${config.delegate_ip}" is no IP address`;
    const hint = "write an address such as 10.0.0.100, without prefix length";
    findings.push(finding("error", place, message, hint));
  }
  const holder = config.nodes.find((node) => node.hostname === config.delegate_ip);
  if (holder !== undefined) {
    const message = `delegate_ip is the address of node ${holder.id} itself`;
    const hint = "choose an address that no host has";
    findings.push(finding("error", place, message, hint));
  }
  if (config.set.has("if_up_cmd") !== config.set.has("if_down_cmd")) {
    const [set, missing] = config.set.has("if_up_cmd")
      ? (["if_up_cmd", "if_down_cmd"] as const)
      : (["if_down_cmd", "if_up_cmd"] as const);
    const message = `${set} is set, but ${missing} is not`;
    const hint = "set both, or none to let the node move the address itself";
    findings.push(finding("warning", placeOf(config, settings, set), message, hint));
  }
  return findings;
}

function checkMembership(config: Config, settings: Settings): readonly Finding[] {
  const place = placeOf(config, settings, "use_watchdog");
  if (config.nodes.length === 0) {
    const hint = "set hostname0, wd_port0, pgpool_port0 and so on, for every node";
    return [finding("error", place, "use_watchdog is on, but no node is configured", hint)];
  }
  const findings: Finding[] = [];
  const isListed = config.nodes.some((node) => node.id === config.nodeId);
  if (config.nodeId !== null && !isListed) {
    const message = `this node is number ${config.nodeId}, but hostname${config.nodeId} is not set`;
    const hint = `set it, or correct the number in ${config.files.nodeId}`;
    findings.push(finding("error", { file: config.files.nodeId, line: null }, message, hint));
  }
  if (config.nodes.length === 2) {
    const message = "with two watchdog nodes, the loss of one ends quorum and the virtual IP";
    findings.push(finding("notice", place, message, "three nodes survive the loss of one"));
  }
  return findings;
}

const COMPANIONS = ["wd_port", "pgpool_port", "heartbeat_hostname", "heartbeat_port"] as const;

/** A node that was forgotten changes what a majority is, so it is not passed over in silence. */
function checkUnnamed(config: Config, settings: Settings): readonly Finding[] {
  const findings: Finding[] = [];
  for (const id of settings.numbersOf(COMPANIONS)) {
    if (config.nodes.some((node) => node.id === id)) continue;
    const keys = COMPANIONS.map((name) => `${name}${id}`);
    const key = keys.find((each) => settings.isWritten(each) && settings.value(each) !== "");
    if (key === undefined) continue;
    // An empty name is how the sample file of Pgpool-II writes a node that is not there.
    const level = settings.isWritten(`hostname${id}`) ? "notice" : "error";
    const message = `${key} has no effect: hostname${id} is not set`;
    const hint = `set hostname${id}, or remove ${key}`;
    findings.push(finding(level, placeOf(config, settings, key), message, hint));
  }
  return findings;
}

function checkPorts(config: Config, settings: Settings, node: NodeConfig): readonly Finding[] {
  const usesHeartbeats = config.wd_lifecheck_method === "heartbeat" && config.nodes.length > 1;
  const hasHeartbeat = node.heartbeats.length > 0 || !usesHeartbeats;
  const missing: readonly (readonly [string, boolean, number])[] = [
    [`wd_port${node.id}`, node.wdPort === 0, 9000],
    [`pgpool_port${node.id}`, node.pgpoolPort === 0, 9999],
    [`heartbeat_port${node.id}`, !hasHeartbeat, 9694],
  ];
  return missing
    .filter(([key, isMissing]) => isMissing && !settings.isRefused(key))
    .map(([key, , example]) => {
      const place = placeOf(config, settings, key, `hostname${node.id}`);
      const message = `watchdog node ${node.id} (${node.hostname}) has no ${key}`;
      return finding("error", place, message, `set ${key} = ${example}`);
    });
}

function checkOwnPorts(config: Config, settings: Settings): readonly Finding[] {
  const own = config.nodes.find((node) => node.id === config.nodeId);
  if (own === undefined || own.wdPort === 0 || own.pgpoolPort === 0) return [];
  const findings: Finding[] = [];
  if (own.wdPort === config.port || own.wdPort === config.pcp_port) {
    const key = `wd_port${own.id}`;
    const message = `${key} is also this node's ${own.wdPort === config.port ? "port" : "pcp_port"}`;
    const place = placeOf(config, settings, key);
    findings.push(finding("error", place, message, "give one of them another number"));
  }
  if (own.pgpoolPort !== config.port) {
    const key = `pgpool_port${own.id}`;
    const message = `${key} is ${own.pgpoolPort}, but this node's port is ${config.port}`;
    findings.push(finding("warning", placeOf(config, settings, key), message, "make them equal"));
  }
  return findings;
}

/** Two nodes may share a host, but then not a port. */
function checkSharedPorts(config: Config, settings: Settings): readonly Finding[] {
  const seen = new Map<string, number>();
  const findings: Finding[] = [];
  for (const node of config.nodes) {
    const [heartbeat] = node.heartbeats;
    const ports = [
      [`wd_port${node.id}`, "TCP", node.wdPort],
      [`pgpool_port${node.id}`, "TCP", node.pgpoolPort],
      [`heartbeat_port${node.id}`, "UDP", heartbeat?.port ?? 0],
    ] as const;
    for (const [key, protocol, port] of ports) {
      const address = `${node.hostname} ${protocol} ${port}`;
      const other = seen.get(address);
      seen.set(address, other ?? node.id);
      if (other === undefined || port === 0) continue;
      const where = other === node.id ? `node ${node.id} twice` : `nodes ${other} and ${node.id}`;
      const message = `${key} = ${port} is used by ${where} on ${node.hostname}`;
      const place = placeOf(config, settings, key);
      findings.push(finding("error", place, message, "give each its own port"));
    }
  }
  return findings;
}

/** Shorter keys can be guessed by trying; the longer the better. */
const KEY_LENGTH_MIN = 16;

function checkKey(config: Config, settings: Settings): readonly Finding[] {
  const place = placeOf(config, settings, "wd_authkey");
  const hint = "set the same long random text on all nodes";
  const remote = config.nodes.find((node) => !isLoopback(node.hostname));
  if (remote === undefined) return [];
  if (config.wd_authkey.isEmpty) {
    const message = `wd_authkey is empty, but node ${remote.id} (${remote.hostname}) is not on loopback`;
    return [finding("error", place, message, hint)];
  }
  if (config.wd_authkey.reveal().length >= KEY_LENGTH_MIN) return [];
  const message = `wd_authkey is short: fewer than ${KEY_LENGTH_MIN} characters can be guessed`;
  return [finding("warning", place, message, hint)];
}

function checkTimes(config: Config, settings: Settings): readonly Finding[] {
  if (config.wd_heartbeat_deadtime > config.wd_heartbeat_keepalive) return [];
  const place = placeOf(config, settings, "wd_heartbeat_deadtime", "wd_heartbeat_keepalive");
  const message = "wd_heartbeat_deadtime is not longer than wd_heartbeat_keepalive";
  const hint =
    "every node would count as dead between two heartbeats: make it several times longer";
  return [finding("error", place, message, hint)];
}

/** Values that take back what the watchdog promises otherwise. */
function checkPromises(config: Config, settings: Settings): readonly Finding[] {
  const findings: Finding[] = [];
  if (config.enable_consensus_with_half_votes) {
    const place = placeOf(config, settings, "enable_consensus_with_half_votes");
    const message =
      "enable_consensus_with_half_votes is on: two halves of the nodes can each elect a leader, so one holder of the virtual IP is not guaranteed";
    findings.push(
      finding("warning", place, message, "set it to off, and use an odd number of nodes"),
    );
  }
  const quorum = "failover_when_quorum_exists";
  if (settings.value(quorum) === false) {
    const message = `${quorum} = off does not act: whoever carries out a failover leads, and to lead takes a quorum`;
    const hint =
      "remove it; use an odd number of nodes, or enable_consensus_with_half_votes = on with two. To let one node's finding be enough, as it is in Pgpool-II then, set failover_require_consensus = off";
    findings.push(finding("warning", placeOf(config, settings, quorum), message, hint));
  }
  if (config.vip_fence === "none" && config.delegate_ip !== "") {
    const place = placeOf(config, settings, "vip_fence");
    const message =
      "vip_fence is none: a node that freezes keeps the virtual IP, so one holder is not guaranteed";
    findings.push(finding("warning", place, message, "set it to auto"));
  }
  return findings;
}
