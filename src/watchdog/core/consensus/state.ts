import { assert, type Ms } from "../../../base/index.ts";
import type {
  ConsensusMessage,
  Entry,
  EntryId,
  HolderRecord,
} from "../../../wire/watchdog/index.ts";

/**
 * Lengths that all nodes of a cluster share. P is the promise, T the lease (see
 * docs/ARCHITECTURE.md, "One holder"): T <= 0.998 P keeps a lease shorter than every promise it
 * stands on while clocks differ in rate by at most 1e-3.
 */
export interface Timing {
  /** P: a follower that answered a round votes for nobody for this long. */
  readonly promiseMs: Ms;
  /** T: what a leader may count on, from before it sent the round. */
  readonly leaseMs: Ms;
  readonly roundMs: Ms;
  /** Candidates stand this far apart, by rank. */
  readonly slotMs: Ms;
  /** The same after a proof of release, when nobody has to wait for P. */
  readonly quickSlotMs: Ms;
  /** After the end of a lease, how long the kernel may still answer for the VIP. */
  readonly vipCloseBoundMs: Ms;
}

const CLOCK_RATE_BOUND = 1e-3;

/**
 * @param promiseMs wd_lease_time.
 * @param vipLifetimeMs what each renewal grants the address (`valid_lft`).
 */
export function timingFor(promiseMs: Ms, vipLifetimeMs: Ms): Timing {
  const leaseMs = promiseMs * 0.998;
  assert(
    leaseMs * (1 + CLOCK_RATE_BOUND) <=
      promiseMs * (1 - CLOCK_RATE_BOUND) + 1e-9 * promiseMs + 0.01,
    `a lease of ${leaseMs} ms outlives a promise of ${promiseMs} ms`,
  );
  return {
    promiseMs,
    leaseMs,
    roundMs: promiseMs / 6,
    slotMs: Math.max(50, promiseMs / 12),
    quickSlotMs: Math.max(40, promiseMs / 30),
    vipCloseBoundMs: vipLifetimeMs + VALID_LFT_LATENESS_MS,
  };
}

/** The kernel removes an expired address up to 1.414 s late, as measured; see timingFor. */
const VALID_LFT_LATENESS_MS = 1500;

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
  entry: { term: 0, index: 0, value: null },
  holder: null,
};

export type Role = "follower" | "pre-candidate" | "candidate" | "leader";

/** What a leader knows of one follower. */
export interface Follower {
  /** When the newest acknowledged round was about to be sent; null before the first. */
  readonly ackedSentMs: Ms | null;
  readonly stored: EntryId;
  readonly knowsHolder: boolean;
}

export interface Leading {
  readonly electedAtMs: Ms;
  readonly round: number;
  readonly lastRoundAtMs: Ms;
  /** When each recent round was about to be sent; bounded by ROUNDS_REMEMBERED. */
  readonly sent: readonly { readonly round: number; readonly sentMs: Ms }[];
  readonly followers: Readonly<Record<number, Follower>>;
  /** From here on no earlier holder's kernel answers for the VIP. */
  readonly vipClearAtMs: Ms;
}

export const ROUNDS_REMEMBERED = 64;

export interface State {
  readonly selfId: number;
  /** All members, this node too, ascending. */
  readonly memberIds: readonly number[];
  /** 0 stands first; from wd_priority, then the id. It biases elections and nothing else. */
  readonly rank: number;
  readonly timing: Timing;
  readonly durable: Durable;
  readonly role: Role;
  /** A restarted node may have forgotten a promise: it votes for nobody before this. */
  readonly silentUntilMs: Ms;
  readonly leaderId: number | null;
  /** No vote for anyone but `leaderId` before this. */
  readonly promisedUntilMs: Ms;
  readonly electionAtMs: Ms;
  readonly ballots: readonly number[];
  /** The newest holder that voters of this election know of, and whether its release is proven. */
  readonly pollHolder: HolderRecord | null;
  /** Hashes whose secret this node has seen, newest last; bounded. */
  readonly releasedHashes: readonly string[];
  readonly committedIndex: number;
  readonly leading: Leading | null;
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
  | { readonly type: "refuse-proposal"; readonly id: number; readonly reason: string };

export interface Start {
  readonly selfId: number;
  readonly memberIds: readonly number[];
  readonly rank: number;
  readonly timing: Timing;
  readonly durable: Durable;
  readonly ownReleaseHash: string | null;
  readonly seed: number;
}

export function startState(start: Start, nowMs: Ms): State {
  assert(start.memberIds.includes(start.selfId), `node ${start.selfId} is not a member`);
  const silentUntilMs = nowMs + start.timing.promiseMs;
  return {
    ...start,
    memberIds: [...start.memberIds].sort((a, b) => a - b),
    role: "follower",
    silentUntilMs,
    leaderId: null,
    promisedUntilMs: 0,
    electionAtMs: silentUntilMs + start.rank * start.timing.slotMs,
    ballots: [],
    pollHolder: null,
    releasedHashes: [],
    committedIndex: 0,
    leading: null,
    isStopped: false,
  };
}

export function majorityOf(memberCount: number): number {
  return Math.floor(memberCount / 2) + 1;
}

export function peersOf(state: State): readonly number[] {
  return state.memberIds.filter((id) => id !== state.selfId);
}

/** Negative, zero or positive as `a` is older than, equal to or newer than `b`. */
export function compareEntries(a: EntryId, b: EntryId): number {
  return a.term === b.term ? a.index - b.index : a.term - b.term;
}

/**
 * When this leader's right ends: T after the round that a majority (the leader counts itself) has
 * answered was about to be sent. Null before the first such round, and for everybody else.
 */
export function leaseUntilMs(state: State): Ms | null {
  const { leading } = state;
  if (leading === null) return null;
  const needed = majorityOf(state.memberIds.length) - 1;
  if (needed === 0) return leading.lastRoundAtMs + state.timing.leaseMs;
  const acked = peersOf(state)
    .map((id) => leading.followers[id]?.ackedSentMs ?? null)
    .filter((sentMs) => sentMs !== null)
    .sort((a, b) => b - a);
  const decisive = acked[needed - 1];
  return decisive === undefined ? null : decisive + state.timing.leaseMs;
}

/**
 * Until when this node may let its kernel answer for the VIP; null: not at all. A majority must
 * hold the lease and must durably know whom to ask for a proof of release.
 */
export function mayHoldVipUntilMs(state: State): Ms | null {
  const { leading, durable } = state;
  if (leading === null || durable.holder === null || state.isStopped) return null;
  if (durable.holder.nodeId !== state.selfId || durable.holder.term !== durable.term) return null;
  const knowing = peersOf(state).filter((id) => leading.followers[id]?.knowsHolder === true);
  if (knowing.length + 1 < majorityOf(state.memberIds.length)) return null;
  return leaseUntilMs(state);
}

/** Deterministic numbers in [0, 1): mulberry32. */
export function nextRandom(seed: number): { readonly value: number; readonly seed: number } {
  const next = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(next ^ (next >>> 15), 1 | next);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return { value: ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296, seed: next };
}
