import type {
  WatchdogMembership,
  WatchdogNodeState,
  WatchdogNodeView,
  WatchdogView,
} from "../ipc/index.ts";
import type { PcpLayout } from "./replies.ts";

/** The watchdog's states by the numbers that Pgpool-II gives them. */
export const WATCHDOG_STATE_NUMBERS: Readonly<Record<WatchdogNodeState, number>> = {
  DEAD: 0,
  LOADING: 1,
  JOINING: 2,
  INITIALIZING: 3,
  LEADER: 4,
  "PARTICIPATING IN ELECTION": 5,
  "STANDING FOR LEADER": 6,
  STANDBY: 7,
  LOST: 8,
  "IN NETWORK TROUBLE": 9,
  SHUTDOWN: 10,
  "ADD MESSAGE SENT": 11,
  "NETWORK ISOLATION": 12,
};

const NOT_SET = "Not_Set";

/**
 * What `pcp_watchdog_info` reads: compact JSON in Pgpool-II's key order, with its one blank.
 *
 * @param nodeId the node asked for, or -1 for all. A node that does not exist gives one record
 *   of -1, 0 and `Not_Set`, as with Pgpool-II, not an error.
 */
export function formatWatchdogJson(view: WatchdogView, nodeId: number, layout: PcpLayout): string {
  const leader = view.nodes.find((node) => node.id === view.leaderId);
  const wanted = nodeId === -1 ? view.nodes : view.nodes.filter((node) => node.id === nodeId);
  const records =
    wanted.length === 0
      ? [unknownRecord(layout)]
      : wanted.map((node) => nodeRecord(node, view, layout));
  const head = {
    RemoteNodeCount: view.nodes.length - 1,
    MemberRemoteNodeCount: view.nodes.filter(({ id, membership }) => {
      return id !== view.selfId && membership === "MEMBER";
    }).length,
    NodesRequireForQuorum: view.neededForQuorum,
    QuorumStatus: view.quorumStatus,
    AliveNodeCount: view.aliveRemoteCount,
    Escalated: isEscalated(view) ? 1 : 0,
    LeaderNodeName: leader?.name ?? "Not Set",
    LeaderHostName: leader?.hostname ?? "Not Set",
    NodeCount: records.length,
  };
  // What only we say comes last, where clients that do not know it never look.
  const own = {
    Term: view.term,
    VipFence: view.fence,
    VipFenceReason: view.fenceReason,
    LeaseGuarantee: view.leaseGuarantee ? 1 : 0,
    VipConflict: view.conflict ?? "",
    Mute: view.mute ?? "",
    Unfit: view.unfit ?? "",
  };
  const tail = `"WatchdogNodes": ${JSON.stringify(records)},${JSON.stringify(own).slice(1)}`;
  return `${JSON.stringify(head).slice(0, -1)},${tail}`;
}

/** Without a virtual IP, leading with a quorum is all that escalation means. */
export function isEscalated(view: WatchdogView): boolean {
  return view.isLeader && view.hasQuorum && (view.vip === null || view.holdsVip);
}

const MEMBERSHIP_NUMBERS: Readonly<Record<WatchdogMembership, number>> = {
  MEMBER: 0,
  "REVOKED-SHUTDOWN": 1,
  "REVOKED-NO-SHOW": 2,
  "REVOKED-LOST": 3,
};

/**
 * Pgpool-II's own clients print this text as it is, with -v only, so the local node's record tells
 * there how sure the address is. The address remains the first word.
 */
function delegateIp(node: WatchdogNodeView, view: WatchdogView): string {
  if (view.vip === null) return NOT_SET;
  if (node.id !== view.selfId) return view.vip;
  const words = [
    `fence ${view.fence}`,
    ...(view.leaseGuarantee ? [] : ["lease guarantee off"]),
    ...(view.conflict === null ? [] : ["address conflict"]),
    ...(view.mute === null ? [] : ["mute"]),
    ...(view.unfit === null ? [] : ["unfit"]),
  ];
  return `${view.vip} (${words.join(", ")})`;
}

function nodeRecord(node: WatchdogNodeView, view: WatchdogView, layout: PcpLayout): object {
  return {
    ID: node.id,
    State: WATCHDOG_STATE_NUMBERS[node.state],
    Membership: MEMBERSHIP_NUMBERS[node.membership],
    MembershipString: node.membership,
    NodeName: node.name === "" ? NOT_SET : node.name,
    HostName: node.hostname,
    StateName: node.state,
    DelegateIP: delegateIp(node, view),
    WdPort: node.wdPort,
    PgpoolPort: node.pgpoolPort,
    Priority: node.priority,
    ...lifecheckStarted(layout, node.state === "LEADER" || node.state === "STANDBY"),
    LostReason: node.lostReason,
  };
}

function unknownRecord(layout: PcpLayout): object {
  return {
    ID: -1,
    State: -1,
    Membership: -1,
    MembershipString: NOT_SET,
    NodeName: NOT_SET,
    HostName: NOT_SET,
    StateName: NOT_SET,
    DelegateIP: NOT_SET,
    WdPort: 0,
    PgpoolPort: 0,
    Priority: 0,
    ...lifecheckStarted(layout, false),
  };
}

/** Clients of 4.7 fail when this key is missing; older ones do not know it. */
function lifecheckStarted(layout: PcpLayout, isStarted: boolean): object {
  return layout === "4.7" ? { LifecheckStarted: isStarted ? 1 : 0 } : {};
}
