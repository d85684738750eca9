/**
 * Whether a failover may run: counts, on the leader, which nodes asked for it. It never runs
 * anything and does not know what a backend is. The rules are Pgpool-II's: a majority of the
 * members must see the same trouble, each node counts once, votes expire.
 */
import type { Ms } from "../../../base/index.ts";
import type { Config } from "../../../config/index.ts";
import type { ClusterRequest, CountedVote } from "../../../wire/ipc/index.ts";
import { majorityOf } from "../consensus/index.ts";

export interface VoteRules {
  /** failover_require_consensus: off means that one node's word is enough. */
  readonly requiresConsensus: boolean;
  /** allow_multiple_failover_requests_from_node: each repetition counts. */
  readonly countsRepetitions: boolean;
  /** enable_consensus_with_half_votes: half of an even number of members is enough. */
  readonly halfVotes: boolean;
  /** Pending votes are forgotten after this. */
  readonly expiryMs: Ms;
}

/** A vote lives as long as the slowest health check needs to see a failure, 15 s at least. */
export function voteRulesOf(config: Config): VoteRules {
  const longest = config.backends.map(
    ({ healthCheck }) => healthCheck.period + healthCheck.retryDelay * healthCheck.maxRetries,
  );
  return {
    requiresConsensus: config.failover_require_consensus,
    countsRepetitions: config.allow_multiple_failover_requests_from_node,
    halfVotes: config.enable_consensus_with_half_votes,
    expiryMs: Math.max(15, ...longest) * 1000,
  };
}

interface Pending {
  readonly key: string;
  readonly request: ClusterRequest;
  readonly voters: readonly Voter[];
  readonly expiresAtMs: Ms;
}

interface Voter {
  readonly id: number;
  readonly atMs: Ms;
  readonly reason: string;
}

export interface VotesState {
  readonly rules: VoteRules;
  readonly pending: readonly Pending[];
}

export type Verdict = "granted" | "building-consensus" | "consensus-may-fail";

const PENDING_MAX = 256;

export function startVotes(rules: VoteRules): VotesState {
  return { rules, pending: [] };
}

export interface CastVote {
  readonly from: number;
  readonly request: ClusterRequest;
  /** The nodes that count at the moment; see core/membership.ts. */
  readonly members: readonly number[];
}

export interface Counted {
  readonly state: VotesState;
  readonly verdict: Verdict;
  /** Those that counted for it so far, this one included. */
  readonly votes: readonly CountedVote[];
}

/**
 * Counts one node's wish. `consensus-may-fail` goes to a node that asks again while the others
 * still have not: Pgpool-II's sign that this node should quarantine the backend by itself.
 */
export function countVote(
  state: VotesState,
  { from, request, members }: CastVote,
  nowMs: Ms,
): Counted {
  const { rules } = state;
  const key = `${request.kind} ${[...request.backendIds].sort((a, b) => a - b).join(",")}`;
  const others = state.pending.filter((p) => p.key !== key && p.expiresAtMs > nowMs);
  const own: Voter = { id: from, atMs: nowMs, reason: request.reason };
  const before = state.pending.find((p) => p.key === key && p.expiresAtMs > nowMs);
  // A node that was removed since it voted counts no more, nor does one that votes all the same.
  const voters = (before?.voters ?? []).filter(({ id }) => members.includes(id));
  const isRepetition = voters.some(({ id }) => id === from);
  if (request.confirmed || !rules.requiresConsensus) {
    const votes = told(isRepetition ? voters : [...voters, own], nowMs);
    return { state: { rules, pending: others }, verdict: "granted", votes };
  }
  const counts = members.includes(from) && (!isRepetition || rules.countsRepetitions);
  const counted = counts ? [...voters, own] : voters;
  const votes = told(counted, nowMs);
  if (counted.length >= majorityOf(members.length, rules.halfVotes)) {
    return { state: { rules, pending: others }, verdict: "granted", votes };
  }
  const expiresAtMs = before?.expiresAtMs ?? nowMs + rules.expiryMs;
  const pending = [...others, { key, request, voters: counted, expiresAtMs }].slice(-PENDING_MAX);
  const isHopeless = isRepetition && !rules.countsRepetitions;
  const verdict = isHopeless ? "consensus-may-fail" : "building-consensus";
  return { state: { rules, pending }, verdict, votes };
}

function told(voters: readonly Voter[], nowMs: Ms): readonly CountedVote[] {
  return voters.map(({ id, atMs, reason }) => ({ nodeId: id, agoMs: nowMs - atMs, reason }));
}
