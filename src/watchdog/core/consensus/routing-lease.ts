/**
 * Until when a node may forward writes under the state it knows. A follower counts from the moment
 * it answered a round that the leader has confirmed to have heard: a leader that commits a new
 * state at c can have heard only answers sent before c, so T after c nobody trusts the old state
 * who has not applied the new one. That the leader waits for this is `settled`.
 */
import type { Ms, Step } from "../../../base/index.ts";
import type { Round } from "../../../wire/watchdog/index.ts";
import { leaseUntilMs } from "./quorum.ts";
import {
  ROUNDS_REMEMBERED,
  type Action,
  type Confirmation,
  type Leading,
  type State,
} from "./state.ts";

/**
 * Monotonic milliseconds; 0 when this node never was confirmed. It does not move while the newest
 * committed state has not been applied.
 */
export function confirmedUntilMs(state: State): Ms {
  return state.confirmed.untilMs;
}

/** A round came in: which of our answers the leader had heard when it sent it. */
export function onHeard(state: State, round: Round): State {
  const heard = state.answered.find((sent) => sent.answer === round.heard);
  if (heard === undefined || round.term !== state.durable.term) return state;
  const untilMs = heard.atMs + state.timing.leaseMs;
  return confirm(state, { untilMs, index: round.committedIndex });
}

/** The next answer has this number, and may be confirmed by a later round. It leaves after now. */
export function beforeAnswer(state: State, nowMs: Ms): State {
  const answer = state.lastAnswer + 1;
  const answered = [...state.answered, { answer, atMs: nowMs }].slice(-ROUNDS_REMEMBERED);
  return { ...state, answered, lastAnswer: answer };
}

/**
 * A new leader may not know of the last state that its predecessors committed: it confirms nothing
 * before an entry of its own is (Raft thesis 6.4).
 */
export function knowsCommits(state: State, leading: Leading): boolean {
  return state.committedIndex >= leading.firstIndex;
}

/** The leader's own right to forward ends with its lease. */
export function confirmLeader(state: State): State {
  const { leading } = state;
  const untilMs = leaseUntilMs(state);
  if (untilMs === null || leading === null || !knowsCommits(state, leading)) return state;
  return confirm(state, { untilMs, index: state.committedIndex });
}

export function onApplied(state: State, index: number): State {
  const { unapplied } = state;
  const applied = { ...state, appliedIndex: Math.max(state.appliedIndex, index) };
  return unapplied === null ? applied : confirm({ ...applied, unapplied: null }, unapplied);
}

function confirm(state: State, news: Confirmation): State {
  if (news.index > state.appliedIndex) {
    return { ...state, unapplied: news };
  }
  const untilMs = Math.max(state.confirmed.untilMs, news.untilMs);
  return untilMs === state.confirmed.untilMs
    ? state
    : { ...state, confirmed: { untilMs, index: news.index } };
}

/**
 * When nobody can route by anything older than the newest committed state: every node has applied
 * it, or was not heard for P since. Null: it is known already, or this node does not lead.
 */
export function settledAtMs(state: State): Ms | null {
  const { leading, committedIndex, timing, nodeIds, selfId } = state;
  if (leading === null || leading.settledIndex >= committedIndex) return null;
  let atMs = leading.committedAtMs;
  for (const id of nodeIds) {
    const follower = leading.followers[id];
    const appliedIndex = id === selfId ? state.appliedIndex : (follower?.appliedIndex ?? 0);
    if (appliedIndex >= committedIndex) continue;
    const heardAtMs = id === selfId ? leading.committedAtMs : (follower?.heardAtMs ?? 0);
    const lastMs = Math.max(leading.electedAtMs, Math.min(heardAtMs, leading.committedAtMs));
    atMs = Math.max(atMs, lastMs + timing.promiseMs);
  }
  return atMs;
}

export function withSettled(step: Step<State, Action>, nowMs: Ms): Step<State, Action> {
  const { leading, committedIndex } = step.state;
  const atMs = settledAtMs(step.state);
  if (leading === null || atMs === null || nowMs < atMs) return step;
  return {
    state: { ...step.state, leading: { ...leading, settledIndex: committedIndex } },
    actions: [...step.actions, { type: "settled", index: committedIndex }],
  };
}
