/** One look at the whole lab: the kernels say who has the VIP, the nodes say the rest. */
import type { NodeStatus } from "../../src/wire/ipc/index.ts";
import { hostsOf, serversOf, VIP, type Host, type LabPlan } from "./layout.ts";
import { vipHolders } from "./network.ts";
import { askNode } from "./pgquorum-node.ts";
import { formatTable } from "./table.ts";

export interface LabStatus {
  readonly vip: {
    readonly address: string | null;
    /** A host's name, null when no kernel has the address, a list when more than one has. */
    readonly holder: string | null | readonly string[];
  };
  readonly nodes: readonly LabNode[];
  readonly backends: readonly LabBackend[];
}

export interface LabNode {
  readonly host: string;
  readonly id: number;
  /** As in Pgpool-II, or DOWN when the node does not answer. */
  readonly state: string;
  readonly term: number | null;
  /** The host that this node takes for the leader. */
  readonly leader: string | null;
  readonly quorum: boolean | null;
  readonly fence: string | null;
  readonly pids: {
    readonly supervisor: number | null;
    readonly watchdog: number | null;
    readonly guardian: number | null;
    readonly workers: readonly number[];
  };
}

export interface LabBackend {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  readonly status: string;
  readonly role: string;
}

export async function lookAtLab(plan: LabPlan): Promise<LabStatus> {
  const hosts = hostsOf(plan);
  const [holders, ...answers] = await Promise.all([
    plan.mode === "loopback" ? Promise.resolve([]) : vipHolders(hosts),
    ...hosts.map((host) => askNode(host)),
  ]);
  return composeStatus(plan, holders, answers);
}

/** Pure: what `status --json` prints, from what was heard. `answers` are in the hosts' order. */
export function composeStatus(
  plan: Pick<LabPlan, "directory" | "mode" | "nodesCount" | "isDatabaseApart">,
  holders: readonly string[],
  answers: readonly (NodeStatus | null)[],
): LabStatus {
  const hosts = hostsOf(plan);
  const [onlyHolder = null] = holders;
  return {
    vip: {
      address: plan.mode === "loopback" ? null : VIP,
      holder: holders.length > 1 ? holders : onlyHolder,
    },
    nodes: hosts.map((host, index) => composeNode(hosts, host, answers[index] ?? null)),
    backends: composeBackends(serversOf(plan), answers),
  };
}

function composeNode(hosts: readonly Host[], host: Host, answer: NodeStatus | null): LabNode {
  const watchdog = answer?.watchdog ?? null;
  const leaderId = watchdog?.leaderId ?? null;
  return {
    host: host.name,
    id: host.id,
    state: answer?.node.state ?? "DOWN",
    term: watchdog?.term ?? null,
    leader: hosts.find((each) => each.id === leaderId)?.name ?? null,
    quorum: watchdog?.hasQuorum ?? null,
    fence: watchdog?.fence ?? null,
    pids: answer?.pids ?? { supervisor: null, watchdog: null, guardian: null, workers: [] },
  };
}

/** The leader knows best; without one, any node that answers. */
function composeBackends(
  servers: readonly Host[],
  answers: readonly (NodeStatus | null)[],
): LabBackend[] {
  const heard = answers.filter((answer) => answer !== null);
  const best = heard.find((answer) => answer.watchdog?.isLeader === true) ?? heard[0];
  if (best === undefined) return [];
  return best.view.backends.map((backend) => ({
    id: backend.id,
    host: servers.find((host) => isBackendOf(host, backend))?.name ?? backend.hostname,
    port: backend.port,
    status: backend.quarantined ? "quarantine" : backend.state,
    role: backend.id === best.view.primaryId ? "primary" : "standby",
  }));
}

function isBackendOf(host: Host, backend: { hostname: string; port: number }): boolean {
  return host.address === backend.hostname && host.ports.postgres === backend.port;
}

/** The hosts that nodes with a quorum call their leader; one name when all is well. */
export function leadersOf(status: LabStatus): string[] {
  return status.nodes.filter((node) => node.state === "LEADER").map((node) => node.host);
}

export function formatStatus(status: LabStatus): string {
  const { address, holder } = status.vip;
  const held = typeof holder === "string" ? holder : (holder?.join(" and ") ?? "nobody");
  const nodes = status.nodes.map((node) => [
    node.host,
    node.state,
    node.term === null ? "-" : String(node.term),
    node.leader ?? "-",
    node.quorum === null ? "-" : node.quorum ? "yes" : "no",
    node.fence ?? "-",
    node.pids.supervisor === null ? "-" : String(node.pids.supervisor),
  ]);
  const backends = status.backends.map((backend) => [
    String(backend.id),
    backend.host,
    String(backend.port),
    backend.status,
    backend.role,
  ]);
  return [
    address === null ? "No VIP on the loopback." : `VIP ${address} is held by ${held}.`,
    "",
    formatTable(["node", "state", "term", "leader", "quorum", "fence", "pid"], nodes),
    "",
    formatTable(["backend", "host", "port", "status", "role"], backends),
  ].join("\n");
}
