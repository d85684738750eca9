/**
 * Whose answers count, and until when what they promised lasts. While a change of the members is
 * not known committed, the old list and the new one must both agree, each with its own majority.
 */
import type { Ms } from "../../../base/index.ts";
import type { Leading, State } from "./state.ts";

/** @param halfVotes enable_consensus_with_half_votes: half of an even number is enough. */
export function majorityOf(memberCount: number, halfVotes = false): number {
  return halfVotes && memberCount % 2 === 0 ? memberCount / 2 : Math.floor(memberCount / 2) + 1;
}

/** The members that vote, by the newest entry that this node has stored. */
export function votersOf(state: State): readonly number[] {
  const { members } = state.durable.entry;
  return members.length === 0 ? state.nodeIds : members;
}

/** All whom a leader sends its rounds to and a candidate asks. */
export function peersOf(state: State): readonly number[] {
  const ids = new Set(listsOf(state).flat());
  return [...ids].filter((id) => id !== state.selfId);
}

export function isVoter(state: State): boolean {
  return state.mute === null && listsOf(state).some((list) => list.includes(state.selfId));
}

export function isQuorum(state: State, ids: readonly number[]): boolean {
  return listsOf(state).every((list) => {
    const agreeing = list.filter((id) => ids.includes(id)).length;
    return agreeing >= majorityOf(list.length, state.halfVotes);
  });
}

function listsOf(state: State): readonly (readonly number[])[] {
  const { before, index } = state.durable.entry;
  const voters = votersOf(state);
  return before === null || index <= state.committedIndex ? [voters] : [voters, before];
}

/** The latest moment such that rounds sent then are answered by a quorum; null: none is yet. */
export function quorumSentMs(state: State, leading: Leading): Ms | null {
  let latestMs = Infinity;
  for (const list of listsOf(state)) {
    const sentMs = list
      .map((id) => sentMsOf(state, leading, id))
      .filter((ms) => ms !== null)
      .sort((a, b) => b - a);
    const decisive = sentMs[majorityOf(list.length, state.halfVotes) - 1];
    if (decisive === undefined) return null;
    latestMs = Math.min(latestMs, decisive);
  }
  return latestMs;
}

function sentMsOf(state: State, leading: Leading, id: number): Ms | null {
  if (id === state.selfId) return leading.lastRoundAtMs;
  return leading.followers[id]?.ackedSentMs ?? null;
}

/**
 * When this leader's right ends: T after the round that a quorum (the leader counts itself) has
 * answered was about to be sent. Null before the first such round, and for everybody else.
 */
export function leaseUntilMs(state: State): Ms | null {
  const { leading, timing } = state;
  if (leading === null) return null;
  const sentMs = quorumSentMs(state, leading);
  return sentMs === null ? null : sentMs + timing.leaseMs;
}

/**
 * Until when this node may let its kernel answer for the VIP; null: not at all. It has recorded
 * itself as holder, which it does only when no earlier one can answer any more. Where the kernel
 * lets go late, a majority must durably know whom to wait for.
 */
export function mayHoldVipUntilMs(state: State): Ms | null {
  const { leading, durable, fence, selfId } = state;
  const { holder } = durable;
  if (leading === null || state.isStopped || state.mute !== null) return null;
  if (holder?.nodeId !== selfId || holder.term !== durable.term) return null;
  if (fence.closeBoundMs > 0) {
    const knowing = peersOf(state).filter((id) => leading.followers[id]?.knowsHolder === true);
    if (!isQuorum(state, [selfId, ...knowing])) return null;
  }
  return leaseUntilMs(state);
}
