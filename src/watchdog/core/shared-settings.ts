import { createHash } from "node:crypto";
import type { Config } from "../../config/index.ts";
import type { SharedSettings } from "../../wire/watchdog/index.ts";

/**
 * What all nodes must have in common. A lease is safe only while every follower promises for as
 * long as the leader believes, a take-over only while everybody knows how long a kernel answers
 * for the VIP, and a majority only while everybody counts the same members.
 */
export function sharedSettings(config: Config): SharedSettings {
  const members = config.nodes.map((node) => `${node.id} ${node.hostname} ${node.wdPort}`);
  return {
    wd_lease_time: `${config.wd_lease_time} ms`,
    vip_fence: config.vip_fence === "none" ? "none" : "lifetime",
    delegate_ip: config.delegate_ip,
    "hostnameN and wd_portN": createHash("sha256")
      .update(members.join("\n"))
      .digest("hex")
      .slice(0, 8),
  };
}

const DETAIL_MAX = 500;

/** Names what differs, with both values; empty when nothing does. */
export function describeDifference(own: SharedSettings, theirs: SharedSettings): string {
  const names = new Set([...Object.keys(own), ...Object.keys(theirs)]);
  const differing = [...names].filter((name) => own[name] !== theirs[name]);
  const told = differing.map((name) => {
    return `${name} is "${own[name] ?? ""}" here and "${theirs[name] ?? ""}" there`;
  });
  return told.join("; ").slice(0, DETAIL_MAX);
}
