import type { Ms } from "../../base/index.ts";
import type { FenceLevel, WatchdogNodeState, WatchdogView } from "../../wire/ipc/index.ts";
import { leaseUntilMs, majorityOf, type State, votersOf } from "./consensus/index.ts";
import type { LifecheckState, PeerLife } from "./lifecheck/index.ts";

/** What is fixed about a member while this process runs. */
export interface MemberFacts {
  readonly id: number;
  readonly hostname: string;
  readonly pgpoolPort: number;
  readonly wdPort: number;
}

export interface ViewFacts {
  readonly members: readonly MemberFacts[];
  /** `server1:9999 Linux server1`; learnt from the hello, so unknown for a node never seen. */
  readonly names: ReadonlyMap<number, string>;
  readonly priorities: ReadonlyMap<number, number>;
  readonly vip: string | null;
  readonly holdsVip: boolean;
  readonly fence: FenceLevel;
  readonly guardianPid: number | null;
}

/** Says in Pgpool-II's words what this node knows of the cluster. */
export function watchdogView(
  state: State,
  lifecheck: LifecheckState,
  facts: ViewFacts,
  nowMs: Ms,
): WatchdogView {
  const hasQuorum = isQuorate(state, nowMs);
  const alive = lifecheck.peers.filter((peer) => peer.life === "alive");
  const others = facts.members.filter((member) => member.id !== state.selfId);
  const own = facts.members.filter((member) => member.id === state.selfId);
  return {
    selfId: state.selfId,
    term: state.durable.term,
    leaderId: state.leaderId,
    isLeader: state.leading !== null,
    hasQuorum,
    quorumStatus: state.leaderId === null ? -2 : hasQuorum ? 1 : -1,
    holdsVip: facts.holdsVip,
    vip: facts.vip,
    fence: facts.fence,
    fenceReason: "",
    leaseGuarantee: facts.fence !== "none",
    mute: null,
    conflict: null,
    unfit: null,
    members: votersOf(state),
    memberCount: votersOf(state).length,
    aliveRemoteCount: alive.length,
    neededForQuorum: majorityOf(votersOf(state).length),
    guardianPid: facts.guardianPid,
    nodes: [...own, ...others].map((member) => ({
      id: member.id,
      name: facts.names.get(member.id) ?? `${member.hostname}:${member.pgpoolPort} Unknown`,
      hostname: member.hostname,
      pgpoolPort: member.pgpoolPort,
      wdPort: member.wdPort,
      state:
        member.id === state.selfId
          ? ownState(state, nowMs)
          : peerState(member.id, state, lifecheck),
      priority: facts.priorities.get(member.id) ?? 1,
      membership: "MEMBER" as const,
      lostReason: "",
    })),
  };
}

/** Pgpool-II's log lines for a change of this node's own state; `before` is null at the start. */
export function ownStateLines(
  before: WatchdogView | null,
  after: WatchdogView,
): readonly { readonly message: string; readonly detail: string | null }[] {
  const was = before?.nodes[0]?.state ?? "";
  const is = after.nodes[0]?.state ?? "";
  if (was === is) return [];
  const changed = { message: `watchdog node state changed from [${was}] to [${is}]`, detail: null };
  if (is === "LEADER") {
    const detail = `our declare coordinator message is accepted by a majority in term ${after.term}`;
    return [
      changed,
      { message: "I am announcing my self as leader/coordinator watchdog node", detail: null },
      { message: "I am the cluster leader node", detail },
    ];
  }
  if (is === "STANDBY") {
    const leader = after.nodes.find((node) => node.id === after.leaderId)?.name;
    const detail = `our join coordinator request is accepted by cluster leader node "${leader}"`;
    return [
      changed,
      { message: "successfully joined the watchdog cluster as standby node", detail },
    ];
  }
  return [changed];
}

/** A majority stands behind the leader this node knows, as far as it can tell. */
function isQuorate(state: State, nowMs: Ms): boolean {
  if (state.leading !== null) return nowMs < (leaseUntilMs(state) ?? 0);
  return state.leaderId !== null && nowMs < state.promisedUntilMs;
}

/** The one table from this program's roles to Pgpool-II's state names, for the own node. */
function ownState(state: State, nowMs: Ms): WatchdogNodeState {
  if (state.isStopped) return "SHUTDOWN";
  if (state.leading !== null) return "LEADER";
  if (state.leaderId !== null) return "STANDBY";
  if (nowMs < state.silentUntilMs) return "INITIALIZING";
  return state.role === "follower" ? "JOINING" : "STANDING FOR LEADER";
}

const LIFE_NAMES: Readonly<Record<PeerLife, WatchdogNodeState>> = {
  "never-seen": "DEAD",
  alive: "STANDBY",
  lost: "LOST",
  "shut-down": "SHUTDOWN",
};

function peerState(id: number, state: State, lifecheck: LifecheckState): WatchdogNodeState {
  const life = lifecheck.peers.find((peer) => peer.id === id)?.life ?? "never-seen";
  return life === "alive" && state.leaderId === id ? "LEADER" : LIFE_NAMES[life];
}
