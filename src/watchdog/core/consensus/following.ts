import type { Ms, Step } from "../../../base/index.ts";
import type { Round, RoundReply } from "../../../wire/watchdog/index.ts";
import { beforeAnswer, onApplied, onHeard } from "./routing-lease.ts";
import { follow, isReleased, standAfterPromise } from "./standing.ts";
import { compareEntries, type Action, type Durable, type State } from "./state.ts";
import { isAble } from "./vip-permit.ts";

/** The first round of a leader is 1. */
const NO_ROUND = 0;

/**
 * A leader's round: the follower promises to vote for nobody else for P from now, stores what is
 * new, and only then answers. A mute node stores nothing and its answer counts for nothing, but it learns.
 */
export function onRound(state: State, from: number, round: Round, nowMs: Ms): Step<State, Action> {
  if (round.term < state.durable.term) {
    return { state, actions: [answer(state, from, round.round, false, nowMs)] };
  }
  const { holder } = state.durable;
  if (holder?.term === round.term && isReleased(state, holder)) {
    // The proof overtook the last rounds of a leader that has let go: they bind nobody again.
    return { state, actions: [] };
  }
  const followed = onHeard(follow(state, from), round);
  const durable = storeRound(followed.durable, round);
  const isNew = durable !== state.durable && state.mute === null;
  const promised: State = standAfterPromise({
    ...followed,
    durable,
    promisedTo: from,
    promisedUntilMs: Math.max(state.promisedUntilMs, nowMs + state.timing.promiseMs),
  });
  const { entry } = durable;
  const isCommitted =
    entry.term === round.term &&
    entry.index === round.committedIndex &&
    round.committedIndex > state.committedIndex;
  const known = isCommitted ? { ...promised, committedIndex: entry.index } : promised;
  const next = beforeAnswer(known, nowMs);
  const actions: Action[] = [];
  if (isNew) actions.push({ type: "persist", durable });
  actions.push(answer(next, from, round.round, true, nowMs));
  if (isCommitted) actions.push({ type: "commit", entry });
  return { state: next, actions };
}

/**
 * Said at once, since a failover waits for it, and clients with the failover. It is the newest
 * answer once more, for a round that there is not: so it promises and confirms nothing.
 */
export function sayApplied(state: State, index: number, nowMs: Ms): Step<State, Action> {
  const applied = onApplied(state, index);
  const { leading, leaderId } = applied;
  const isNews = applied.appliedIndex > state.appliedIndex;
  if (!isNews || leading !== null || leaderId === null || state.isStopped) {
    return { state: applied, actions: [] };
  }
  return { state: applied, actions: [answer(applied, leaderId, NO_ROUND, true, nowMs)] };
}

function storeRound(durable: Durable, round: Round): Durable {
  let next = durable;
  if (round.term > next.term) next = { ...next, term: round.term, votedFor: null };
  if (round.entry !== null && compareEntries(round.entry, next.entry) > 0) {
    next = { ...next, entry: round.entry };
  }
  const { holder } = round;
  if (holder !== null && holder.term === round.term && next.holder?.term !== holder.term) {
    next = { ...next, holder };
  }
  return next;
}

function answer(state: State, to: number, round: number, accepted: boolean, nowMs: Ms): Action {
  const { term, entry, holder } = state.durable;
  const message: RoundReply = {
    type: "round-reply",
    term,
    round,
    answer: state.lastAnswer,
    accepted,
    stored: { term: entry.term, index: entry.index },
    knowsHolder: accepted && holder?.term === term && holder.nodeId === to,
    isVoter: state.mute === null,
    appliedIndex: state.appliedIndex,
    isFit: isAble(state, nowMs),
  };
  return { type: "send", to, message };
}
