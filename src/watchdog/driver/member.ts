import { randomBytes } from "node:crypto";
import { hostname as systemHostname, type as systemType } from "node:os";
import type { Config, NodeConfig } from "../../config/index.ts";
import { fail, succeed, type Result } from "../../base/index.ts";

/** This node among the members, as the configuration has it. */
export interface Membership {
  readonly self: NodeConfig;
  readonly peers: readonly NodeConfig[];
  /** Random, new at every start. */
  readonly bootId: string;
  /** `server1:9999 Linux server1`, as Pgpool-II names a node. */
  readonly name: string;
  /** 0 stands for election first. All nodes share one file, so the id decides between equals. */
  readonly rank: number;
}

/** Where heartbeats go when a node has no heartbeat_hostnameN of its own. */
const HEARTBEAT_PORT = 9694;

export function readMembership(config: Config): Result<Membership, string> {
  const self = config.nodes.find((node) => node.id === config.nodeId);
  if (self === undefined) {
    return fail(
      `node ${config.nodeId ?? "?"} of ${config.files.nodeId} has no hostname${config.nodeId ?? "N"} in ${config.files.config}`,
    );
  }
  return succeed({
    self,
    peers: config.nodes.filter((node) => node.id !== self.id),
    bootId: randomBytes(16).toString("hex"),
    name: `${self.hostname}:${self.pgpoolPort} ${systemType()} ${systemHostname()}`,
    rank: config.nodes.findIndex((node) => node.id === self.id),
  });
}

export function heartbeatTargets(node: NodeConfig): { hostname: string; port: number }[] {
  if (node.heartbeats.length === 0) return [{ hostname: node.hostname, port: HEARTBEAT_PORT }];
  return node.heartbeats.map(({ hostname, port }) => ({ hostname, port }));
}
