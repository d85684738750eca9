import type { Ms } from "../../base/index.ts";
import type {
  QuorumStatus,
  SettingDifference,
  WatchdogNodeState,
  WatchdogView,
} from "../../wire/ipc/index.ts";
import { leaseUntilMs, majorityOf, votersOf, type State } from "./consensus/index.ts";
import type { LifecheckState, PeerLife } from "./lifecheck/index.ts";
import { membershipOf } from "./membership.ts";

/** What is fixed about a member while this process runs. */
export interface MemberFacts {
  readonly id: number;
  readonly hostname: string;
  readonly pgpoolPort: number;
  readonly wdPort: number;
}

/** What keeps this node from serving, and how Pgpool-II calls a node in that state. */
export interface Trouble {
  readonly state: "LOST" | "IN NETWORK TROUBLE" | null;
  readonly reason: string;
}

export interface ViewFacts {
  readonly members: readonly MemberFacts[];
  /** `server1:9999 Linux server1`; learnt from the hello, so unknown for a node never seen. */
  readonly names: ReadonlyMap<number, string>;
  readonly priorities: ReadonlyMap<number, number>;
  /** Nodes that this node reaches but that have not accepted it. */
  readonly unwelcomedBy: ReadonlySet<number>;
  readonly differences: readonly SettingDifference[];
  readonly vip: string | null;
  readonly holdsVip: boolean;
  readonly fenceReason: string;
  readonly conflict: string | null;
  readonly trouble: Trouble | null;
  readonly guardianPid: number | null;
}

/** What of a state decides what is seen of it, apart from how long it is known to hold. */
export interface Glance extends Claim {
  readonly durable: State["durable"];
  readonly role: State["role"];
  readonly mute: string | null;
  readonly isStopped: boolean;
  readonly isSilent: boolean;
  readonly fence: State["fence"];
}

/** Cheap: taken after each step, to find out whether a view has to be made. */
export function glanceAt(state: State, nowMs: Ms): Glance {
  const { durable, role, mute, isStopped, fence } = state;
  const isSilent = nowMs < state.silentUntilMs;
  return { ...leaderAt(state, nowMs), durable, role, mute, isStopped, isSilent, fence };
}

/** The same is seen, though it may be known for longer. */
export function looksTheSame(before: Glance, after: Glance): boolean {
  return (
    before.durable === after.durable &&
    before.leaderId === after.leaderId &&
    before.isLeader === after.isLeader &&
    before.hasQuorum === after.hasQuorum &&
    before.role === after.role &&
    before.mute === after.mute &&
    before.isStopped === after.isStopped &&
    before.isSilent === after.isSilent &&
    before.fence === after.fence
  );
}

/** Says in Pgpool-II's words what this node knows of the cluster at this moment. */
export function watchdogView(
  state: State,
  lifecheck: LifecheckState,
  facts: ViewFacts,
  nowMs: Ms,
): WatchdogView {
  const claim = leaderAt(state, nowMs);
  const voters = votersOf(state);
  const others = facts.members.filter((member) => member.id !== state.selfId);
  const own = facts.members.filter((member) => member.id === state.selfId);
  return {
    selfId: state.selfId,
    term: state.durable.term,
    ...claim,
    quorumStatus: quorumStatus(claim, state, lifecheck),
    holdsVip: facts.holdsVip,
    vip: facts.vip,
    fence: state.fence.level,
    fenceReason: facts.fenceReason,
    leaseGuarantee: (facts.vip === null || state.fence.level !== "none") && !state.halfVotes,
    mute: state.mute,
    conflict: facts.conflict,
    unfit: facts.trouble?.reason ?? null,
    members: voters,
    memberCount: voters.length,
    aliveRemoteCount: lifecheck.peers.filter((peer) => peer.life === "alive").length,
    neededForQuorum: majorityOf(voters.length, state.halfVotes),
    guardianPid: facts.guardianPid,
    differences: facts.differences,
    nodes: [...own, ...others].map((member) => {
      const peer = lifecheck.peers.find(({ id }) => id === member.id);
      const isSelf = member.id === state.selfId;
      const life = isSelf ? "alive" : (peer?.life ?? "never-seen");
      return {
        id: member.id,
        name: facts.names.get(member.id) ?? `${member.hostname}:${member.pgpoolPort} Unknown`,
        hostname: member.hostname,
        pgpoolPort: member.pgpoolPort,
        wdPort: member.wdPort,
        state: isSelf
          ? ownState(state, claim, lifecheck, facts, nowMs)
          : peerState(member.id, life, claim, facts),
        priority: facts.priorities.get(member.id) ?? 1,
        membership: membershipOf(voters.includes(member.id), life),
        lostReason: peer?.lostReason ?? "",
      };
    }),
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

type Claim = Pick<WatchdogView, "leaderId" | "isLeader" | "hasQuorum" | "knownUntilMs">;

const NO_LEADER: Claim = {
  leaderId: null,
  isLeader: false,
  hasQuorum: false,
  knownUntilMs: null,
};

/**
 * Who leads, as far as this node may say at this moment. A leader says so until its lease is over
 * by the clock, also before it has noticed; a follower until its own promise to the leader ends.
 */
function leaderAt(state: State, nowMs: Ms): Claim {
  const { leading, leaderId, promisedUntilMs } = state;
  if (leading !== null) {
    const leaseMs = leaseUntilMs(state) ?? 0;
    // Elected, but no round of its own is answered yet: it leads, without a quorum so far.
    const knownUntilMs = Math.max(leading.electedAtMs + state.timing.leaseMs, leaseMs);
    if (nowMs >= knownUntilMs) return NO_LEADER;
    return { leaderId: state.selfId, isLeader: true, hasQuorum: nowMs < leaseMs, knownUntilMs };
  }
  if (leaderId === null || nowMs >= promisedUntilMs) return NO_LEADER;
  return { leaderId, isLeader: false, hasQuorum: true, knownUntilMs: promisedUntilMs };
}

/** On the edge: exactly half is there, and half suffices. */
function quorumStatus(claim: Claim, state: State, lifecheck: LifecheckState): QuorumStatus {
  if (claim.leaderId === null) return -2;
  if (!claim.hasQuorum) return -1;
  const voters = votersOf(state);
  const there = lifecheck.peers.filter(({ id, life }) => life === "alive" && voters.includes(id));
  const count = there.length + (voters.includes(state.selfId) ? 1 : 0);
  return state.halfVotes && count * 2 === voters.length ? 0 : 1;
}

/** The one table from this program's roles to Pgpool-II's state names, for the own node. */
function ownState(
  state: State,
  claim: Claim,
  lifecheck: LifecheckState,
  facts: ViewFacts,
  nowMs: Ms,
): WatchdogNodeState {
  if (state.isStopped) return "SHUTDOWN";
  if (claim.isLeader) return "LEADER";
  const troubled = facts.trouble?.state ?? null;
  if (troubled !== null) return troubled;
  if (claim.leaderId !== null) return "STANDBY";
  const isAlone = !lifecheck.peers.some((peer) => peer.life === "alive");
  const hasLost = lifecheck.peers.some((peer) => peer.life === "lost");
  if (isAlone && hasLost) return "NETWORK ISOLATION";
  if (nowMs < state.silentUntilMs) return isAlone ? "LOADING" : "INITIALIZING";
  if (state.role === "pre-candidate" || state.role === "candidate") return "STANDING FOR LEADER";
  const { votedFor } = state.durable;
  const hasVoted = votedFor !== null && votedFor !== state.selfId && state.leaderId === null;
  return hasVoted ? "PARTICIPATING IN ELECTION" : "JOINING";
}

const LIFE_NAMES = {
  "never-seen": "DEAD",
  lost: "LOST",
  "shut-down": "SHUTDOWN",
} as const;

/** What another node is, seen from here; whom it follows is its own knowledge. */
function peerState(id: number, life: PeerLife, claim: Claim, facts: ViewFacts): WatchdogNodeState {
  if (life === "alive") {
    if (claim.leaderId === id) return "LEADER";
    return claim.leaderId === null ? "JOINING" : "STANDBY";
  }
  return facts.unwelcomedBy.has(id) ? "ADD MESSAGE SENT" : LIFE_NAMES[life];
}
