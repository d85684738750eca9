/** Supervisor to watchdog. */
export type ToWatchdog =
  /** This node wants a failover, failback or promotion: counted as its vote by the leader. */
  | { readonly type: "vote"; readonly request: ClusterRequest }
  /**
   * The leader's supervisor wants `value` to become the cluster's state. Refused when this node
   * does not lead or when `afterIndex` is no longer the newest index.
   */
  | {
      readonly type: "propose";
      readonly id: number;
      readonly afterIndex: number;
      readonly value: unknown;
    }
  /**
   * This node's supervisor and all its workers route by the committed state of this index, or
   * could not before their routing lease had ended.
   */
  | { readonly type: "applied"; readonly index: number }
  /** This node is about to stop: it hands the lead over now, and does not take it again. */
  | { readonly type: "retire" }
  /** Why another node should lead, as far as the supervisor knows; null when this one may. */
  | { readonly type: "fitness"; readonly unfit: string | null }
  /** Read the configuration files again. */
  | { readonly type: "reload" }
  | { readonly type: "stop" };

export const REQUEST_KINDS = [
  "detach",
  "attach",
  "promote",
  "switchover",
  "maintenance-on",
  "maintenance-off",
  /** The node that says so keeps away from a backend by itself: known to all until it expires. */
  "quarantine",
  "release",
  /** Online recovery of a server. */
  "recover",
] as const;

export type RequestKind = (typeof REQUEST_KINDS)[number];

/** A wish to change the state of backends, before anybody agreed to it. */
export interface ClusterRequest {
  readonly kind: RequestKind;
  readonly backendIds: readonly number[];
  /** An operator asked: no vote is needed. */
  readonly confirmed: boolean;
  /** Detach so that another node can be promoted (`pcp_promote_node -s`). */
  readonly switchoverTo: number | null;
  readonly reason: string;
  /** Of a switchover, whose `backendIds` name the one that is to take over. */
  readonly switchover?: SwitchoverWish;
  /** Who asked for it, for people; absent when no person did. */
  readonly by?: string;
  /** By which whoever asks finds what became of it; absent where nobody looks. */
  readonly eventId?: string;
  /** No person asked: not done during maintenance. Absent: the opposite of `confirmed`. */
  readonly isAutomatic?: boolean;
  /**
   * Decided upon a state of this epoch, and refused in any other. Never sent: only what the leader
   * decides alone has it.
   */
  readonly ifEpoch?: number;
}

export interface SwitchoverWish {
  /** Unique, so that the one who asked finds it in the history. */
  readonly id: string;
  readonly drainTimeoutMs: number;
  /** What is done when transactions have not ended by then. */
  readonly onTimeout: "abort" | "cancel";
}

/** A node's wish that was counted when a request was granted, and how long before that. */
export interface CountedVote {
  readonly nodeId: number;
  readonly agoMs: number;
  readonly reason: string;
}

/** Watchdog to supervisor. */
export type FromWatchdog =
  | { readonly type: "ready" }
  | { readonly type: "view"; readonly view: WatchdogView }
  /** The cluster's state as a majority holds it. `value` is null when none was ever proposed. */
  | {
      readonly type: "committed";
      readonly index: number;
      readonly term: number;
      readonly value: unknown;
    }
  | { readonly type: "proposal-refused"; readonly id: number; readonly reason: string }
  /**
   * The routing lease: until then this node's workers may forward statements by the newest state
   * that the node applied. `untilMs` is of CLOCK_MONOTONIC, the one clock of all processes of a
   * host. Sent at least every sixth of the lease while it moves; it never moves back.
   */
  | { readonly type: "confirmed"; readonly untilMs: number }
  /**
   * Sent on the leader only: every member routes by the committed state of this index, or by a
   * newer one, or its routing lease is over. Said of the newest such index; older ones are
   * settled with it.
   */
  | { readonly type: "settled"; readonly index: number }
  /** Sent on the leader only: enough votes came in. The receiver plans and runs it. */
  | {
      readonly type: "granted";
      readonly request: ClusterRequest;
      /** Absent without a watchdog: nobody has to agree. */
      readonly votes?: readonly CountedVote[];
    }
  /** This node's vote did not lead to a failover. */
  | {
      readonly type: "not-granted";
      readonly request: ClusterRequest;
      readonly why: "no-quorum" | "building-consensus" | "consensus-may-fail";
    }
  /** Made up by the supervisor when the process has ended without a word. */
  | { readonly type: "died" }
  /** This node must not run: the message says why and what to do. */
  | { readonly type: "fatal"; readonly message: string; readonly hint: string };

export type WatchdogNodeState =
  | "DEAD"
  | "LOADING"
  | "JOINING"
  | "INITIALIZING"
  | "LEADER"
  | "PARTICIPATING IN ELECTION"
  | "STANDING FOR LEADER"
  | "STANDBY"
  | "LOST"
  | "IN NETWORK TROUBLE"
  | "SHUTDOWN"
  | "ADD MESSAGE SENT"
  | "NETWORK ISOLATION";

export type FenceLevel = "nft" | "lifetime" | "none";

export type WatchdogMembership = "MEMBER" | "REVOKED-SHUTDOWN" | "REVOKED-NO-SHOW" | "REVOKED-LOST";

/** As `pcp_watchdog_info` says it: exists, on the edge, absent, no leader known. */
export type QuorumStatus = 1 | 0 | -1 | -2;

export interface WatchdogNodeView {
  readonly id: number;
  /** `server1:9999 Linux server1`, as Pgpool-II names a node. */
  readonly name: string;
  readonly hostname: string;
  readonly pgpoolPort: number;
  readonly wdPort: number;
  readonly state: WatchdogNodeState;
  readonly priority: number;
  readonly membership: WatchdogMembership;
  /** Why the node counts as lost, in Pgpool-II's words; "" while it does not. */
  readonly lostReason: string;
}

/** A parameter that is not the same on this node and on another. */
export interface SettingDifference {
  readonly nodeId: number;
  readonly name: string;
  /** Null where it is not set, or is not to be shown: passwords and commands. */
  readonly here: string | null;
  readonly there: string | null;
}

/** What `pcp_watchdog_info`, `pgquorum status` and the log are told. */
export interface WatchdogView {
  readonly selfId: number;
  readonly term: number;
  readonly leaderId: number | null;
  readonly isLeader: boolean;
  /**
   * Until then what is said here of the leader is true: the end of this node's lease, or of its
   * promise to the leader. Of CLOCK_MONOTONIC, the one clock of all processes of a host; null
   * while no leader is known. A frozen watchdog sends no newer view, so readers look at it.
   */
  readonly knownUntilMs: number | null;
  /** A majority of the members heard each other within the lease. */
  readonly hasQuorum: boolean;
  readonly quorumStatus: QuorumStatus;
  /** This node holds the virtual IP, as far as the watchdog knows. */
  readonly holdsVip: boolean;
  readonly vip: string | null;
  readonly fence: FenceLevel;
  /** Why it is this level, and what would give a better one. */
  readonly fenceReason: string;
  /** False when at most one holder is not promised: half votes count, or `vip_fence` is none. */
  readonly leaseGuarantee: boolean;
  /** Why this node follows and shows but never votes or leads (its disk is bad); else null. */
  readonly mute: string | null;
  /** Who else answers for the virtual IP; else null. */
  readonly conflict: string | null;
  /** Why this node must not hold the virtual IP at the moment; else null. */
  readonly unfit: string | null;
  /** The ids of the nodes that vote. */
  readonly members: readonly number[];
  readonly memberCount: number;
  readonly aliveRemoteCount: number;
  readonly neededForQuorum: number;
  readonly guardianPid: number | null;
  /** What is configured differently on nodes that were connected, by node. */
  readonly differences: readonly SettingDifference[];
  /** The local node first, then the others by id. */
  readonly nodes: readonly WatchdogNodeView[];
}
