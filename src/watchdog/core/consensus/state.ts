import { assert, type Ms } from "../../../base/index.ts";
import type {
  ConsensusMessage,
  Entry,
  EntryId,
  HolderRecord,
} from "../../../wire/watchdog/index.ts";
import type { Fence, Timing } from "./timing.ts";

/** What must be on disk before anybody is answered. */
export interface Durable {
  readonly term: number;
  readonly votedFor: number | null;
  readonly entry: Entry;
  /** The last node known to have been cleared to hold the VIP. */
  readonly holder: HolderRecord | null;
}

export const NOTHING_DURABLE: Durable = {
  term: 0,
  votedFor: null,
  entry: { term: 0, index: 0, value: null, members: [], before: null },
  holder: null,
};

export type Role = "follower" | "pre-candidate" | "candidate" | "leader";

/** What a leader knows of one follower. */
export interface Follower {
  /** When the newest acknowledged round was about to be sent; null before the first. */
  readonly ackedSentMs: Ms | null;
  readonly stored: EntryId;
  readonly knowsHolder: boolean;
  /** The number of its newest answer, as a voter or not; 0: none came. */
  readonly heardAnswer: number;
  readonly heardAtMs: Ms | null;
  readonly appliedIndex: number;
  readonly isFit: boolean;
}

export interface Leading {
  readonly electedAtMs: Ms;
  /** Of the entry that this leader began with: until it is committed, older ones may be newer. */
  readonly firstIndex: number;
  readonly round: number;
  readonly lastRoundAtMs: Ms;
  /** When each recent round was about to be sent; bounded by ROUNDS_REMEMBERED. */
  readonly sent: readonly { readonly round: number; readonly sentMs: Ms }[];
  readonly followers: Readonly<Record<number, Follower>>;
  /** From here on no earlier holder's kernel answers for the VIP. */
  readonly vipClearAtMs: Ms;
  /** When the newest index was committed here, and whether everybody is known to route by it. */
  readonly committedAtMs: Ms;
  readonly settledIndex: number;
  /** Woken late at this moment: only rounds sent from then on count for the VIP. */
  readonly distrustedAtMs: Ms | null;
  /** Who is to take over, and until when this is waited for. */
  readonly transfer: { readonly to: number; readonly untilMs: Ms } | null;
}

export const ROUNDS_REMEMBERED = 64;
const ANSWERS_FROM_MAX = 2 ** 40;

/** The kernel's readiness to open the VIP, as far as the driver has told. */
export interface VipPermit {
  /** From "asked" on it must be closed at the end; "lost" is to be asked for again. */
  readonly phase: "none" | "lost" | "asked" | "armed";
  /** Names the request, so that the answer to an older one counts for nothing. */
  readonly id: number;
  /** When the permit was last known to be set, or a renewal of it was about to be issued. */
  readonly permitAtMs: Ms;
  readonly isRenewed: boolean;
  /** No earlier than this may it be asked for (again). */
  readonly askAtMs: Ms;
  /** When it was asked for last. */
  readonly askedAtMs: Ms;
  /** This node could not get it, and is no good as a leader until then. */
  readonly unableUntilMs: Ms;
}

/** What a follower knows of the freshness of its knowledge; see routing-lease.ts. */
export interface Confirmation {
  readonly untilMs: Ms;
  /** It counts once this node has applied the state of this index. */
  readonly index: number;
}

export interface State {
  readonly selfId: number;
  /** All nodes that are configured, this one too, ascending; `votersOf` says which ones count. */
  readonly nodeIds: readonly number[];
  /** The same in the order in which they stand: it biases elections and nothing else. */
  readonly order: readonly number[];
  readonly timing: Timing;
  readonly fence: Fence;
  readonly halfVotes: boolean;
  readonly durable: Durable;
  /** It would do as a leader; one that would not stands last, and hands over to one that would. */
  readonly isFit: boolean;
  /** Why this node only listens: a disk that forgets must not vote. Null: it takes part. */
  readonly mute: string | null;
  readonly role: Role;
  /** A restarted node may have forgotten a promise: it votes for nobody before this. */
  readonly silentUntilMs: Ms;
  readonly leaderId: number | null;
  /** No vote for anyone but `promisedTo` before this. */
  readonly promisedUntilMs: Ms;
  readonly promisedTo: number | null;
  readonly electionAtMs: Ms;
  readonly ballots: readonly number[];
  /** When the vote that asks for promises was about to be asked for; else null. */
  readonly promiseAskedAtMs: Ms | null;
  /** The newest holder that voters of this election know of. */
  readonly pollHolder: HolderRecord | null;
  /** Secrets that this node has seen, with their hashes, newest last; bounded. */
  readonly released: readonly { readonly hash: string; readonly secret: string | null }[];
  readonly committedIndex: number;
  readonly leading: Leading | null;
  readonly vip: VipPermit;
  /** The leader of that term is about to hand over to this node; null: none is. */
  readonly prepared: { readonly term: number; readonly untilMs: Ms } | null;
  /** When this node sent its recent answers to this leader, by their numbers. */
  readonly answered: readonly { readonly answer: number; readonly atMs: Ms }[];
  /** Of the newest answer. It begins at random, so that no answer of an earlier run has its like. */
  readonly lastAnswer: number;
  readonly confirmed: Confirmation;
  readonly unapplied: Confirmation | null;
  readonly appliedIndex: number;
  /** The hash that this node announces before it holds the VIP; null: it never holds one. */
  readonly ownReleaseHash: string | null;
  readonly isStopped: boolean;
  readonly seed: number;
}

export type Event =
  | { readonly type: "tick" }
  | { readonly type: "message"; readonly from: number; readonly message: ConsensusMessage }
  /** A secret came in by datagram: the guardian of the holder has let go. */
  | { readonly type: "release-proven"; readonly secret: string }
  /** This node made a new secret for its next time as holder. */
  | { readonly type: "release-hash-made"; readonly hash: string }
  /** `arm-vip` of this id is done: the kernel would open for a renewal. */
  | { readonly type: "vip-armed"; readonly id: number }
  /** Permit, guardian or address are not there, or could not be made. */
  | { readonly type: "vip-lost" }
  /** Of which kind the fence is, once it was tried. */
  | { readonly type: "fence-known"; readonly fence: Fence }
  /** Who stands first, by wd_priority. */
  | { readonly type: "ranked"; readonly order: readonly number[] }
  /** Whether this node would do as a leader. */
  | { readonly type: "fitness"; readonly isFit: boolean }
  /** This leader shall hand over, to that node or to the best one. */
  | { readonly type: "transfer-requested"; readonly to: number | null }
  /** Who shall vote, as the leader's rules for absent nodes have it. */
  | { readonly type: "members-wanted"; readonly memberIds: readonly number[] }
  /** Every process of this node routes by the state of this index. */
  | { readonly type: "applied"; readonly index: number }
  /** A `persist` failed: the rest of that step was not performed. */
  | { readonly type: "disk-failed"; readonly reason: string }
  | {
      readonly type: "proposed";
      readonly id: number;
      readonly afterIndex: number;
      readonly value: unknown;
    }
  | { readonly type: "stop-requested" };

export type Action =
  /** To be durable before any later action of the same step is performed. */
  | { readonly type: "persist"; readonly durable: Durable }
  | { readonly type: "send"; readonly to: number; readonly message: ConsensusMessage }
  | { readonly type: "commit"; readonly entry: Entry }
  | { readonly type: "refuse-proposal"; readonly id: number; readonly reason: string }
  /** Make everything ready to open the VIP, but do not open it. Answered by an event. */
  | { readonly type: "arm-vip"; readonly id: number }
  /** Open, or keep open, right now, and before any later action. */
  | { readonly type: "renew-vip" }
  /** Close at once, then show the secret. */
  | { readonly type: "close-vip" }
  /** No node routes by anything older than the state of this index. */
  | { readonly type: "settled"; readonly index: number };

export interface Start {
  readonly selfId: number;
  /** All nodes that are configured. */
  readonly nodeIds: readonly number[];
  readonly timing: Timing;
  readonly fence: Fence;
  readonly halfVotes: boolean;
  readonly durable: Durable;
  /** Why the disk cannot be trusted; null: it can. */
  readonly mute: string | null;
  readonly ownReleaseHash: string | null;
  readonly seed: number;
}

/** A node that begins, or begins again: silent for P, since it may have forgotten a promise. */
export function startState(start: Start, nowMs: Ms): State {
  assert(start.nodeIds.includes(start.selfId), `node ${start.selfId} is not configured`);
  const nodeIds = [...start.nodeIds].sort((a, b) => a - b);
  const silentUntilMs = nowMs + start.timing.promiseMs;
  return {
    ...start,
    nodeIds,
    order: nodeIds,
    isFit: true,
    role: "follower",
    silentUntilMs,
    leaderId: null,
    promisedUntilMs: 0,
    promisedTo: null,
    electionAtMs: silentUntilMs + nodeIds.indexOf(start.selfId) * start.timing.slotMs,
    ballots: [],
    promiseAskedAtMs: null,
    pollHolder: null,
    released: [],
    committedIndex: 0,
    leading: null,
    vip: {
      phase: "none",
      id: 0,
      permitAtMs: 0,
      isRenewed: false,
      askAtMs: 0,
      askedAtMs: 0,
      unableUntilMs: 0,
    },
    prepared: null,
    answered: [],
    lastAnswer: 1 + Math.floor(nextRandom(start.seed).value * ANSWERS_FROM_MAX),
    confirmed: { untilMs: 0, index: 0 },
    unapplied: null,
    appliedIndex: 0,
    isStopped: false,
  };
}

/** Negative, zero or positive as `a` is older than, equal to or newer than `b`. */
export function compareEntries(a: EntryId, b: EntryId): number {
  return a.term === b.term ? a.index - b.index : a.term - b.term;
}

/** Deterministic numbers in [0, 1): mulberry32. */
export function nextRandom(seed: number): { readonly value: number; readonly seed: number } {
  const next = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(next ^ (next >>> 15), 1 | next);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return { value: ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296, seed: next };
}
