/**
 * Whether a failover may run: counts, on the leader, which nodes asked for it. It never runs
 * anything and does not know what a backend is. The rules are Pgpool-II's: a majority of the
 * members must see the same trouble, each node counts once, votes expire.
 */
import type { Ms } from "../../../base/index.ts";
import type { Config } from "../../../config/index.ts";
import type { ClusterRequest } from "../../../wire/ipc/index.ts";
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
  readonly voters: readonly number[];
  readonly expiresAtMs: Ms;
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

/**
 * Counts one node's wish. `consensus-may-fail` goes to a node that asks again while the others
 * still have not: Pgpool-II's sign that this node should quarantine the backend by itself.
 */
export function countVote(
  state: VotesState,
  { from, request, members }: CastVote,
  nowMs: Ms,
): { readonly state: VotesState; readonly verdict: Verdict } {
  const { rules } = state;
  const key = `${request.kind} ${[...request.backendIds].sort((a, b) => a - b).join(",")}`;
  const others = state.pending.filter((p) => p.key !== key && p.expiresAtMs > nowMs);
  if (request.confirmed || !rules.requiresConsensus) {
    return { state: { rules, pending: others }, verdict: "granted" };
  }
  const before = state.pending.find((p) => p.key === key && p.expiresAtMs > nowMs);
  // A node that was removed since it voted counts no more, nor does one that votes all the same.
  const voters = (before?.voters ?? []).filter((id) => members.includes(id));
  const isRepetition = voters.includes(from);
  const counts = members.includes(from) && (!isRepetition || rules.countsRepetitions);
  const counted = counts ? [...voters, from] : voters;
  if (counted.length >= majorityOf(members.length, rules.halfVotes)) {
    return { state: { rules, pending: others }, verdict: "granted" };
  }
  const expiresAtMs = before?.expiresAtMs ?? nowMs + rules.expiryMs;
  const pending = [...others, { key, request, voters: counted, expiresAtMs }].slice(-PENDING_MAX);
  const isHopeless = isRepetition && !rules.countsRepetitions;
  return {
    state: { rules, pending },
    verdict: isHopeless ? "consensus-may-fail" : "building-consensus",
  };
}
