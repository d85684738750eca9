import { createHash } from "node:crypto";
import type { Ms, Step } from "../../../base/index.ts";
import type { VoteReply, VoteRequest } from "../../../wire/watchdog/index.ts";
import { startLeading } from "./leading.ts";
import { adoptTerm, follow, isReleased, retryLater, standSoon } from "./standing.ts";
import {
  compareEntries,
  leaseUntilMs,
  majorityOf,
  peersOf,
  type Action,
  type State,
} from "./state.ts";

const RELEASED_HASHES_MAX = 16;

/** Stands for election: first asks whether it could win, so that a lone node raises no term. */
export function startPreVote(state: State, nowMs: Ms): Step<State, Action> {
  const asking: State = {
    ...retryLater(state, nowMs),
    role: "pre-candidate",
    leaderId: null,
    ballots: [state.selfId],
    pollHolder: state.durable.holder,
  };
  if (hasMajority(asking)) return startVote(asking, nowMs);
  const message: VoteRequest = {
    type: "pre-vote-request",
    term: state.durable.term + 1,
    last: { term: state.durable.entry.term, index: state.durable.entry.index },
  };
  return { state: asking, actions: peersOf(state).map((to) => ({ type: "send", to, message })) };
}

function startVote(state: State, nowMs: Ms): Step<State, Action> {
  const durable = { ...state.durable, term: state.durable.term + 1, votedFor: state.selfId };
  const standing: State = {
    ...retryLater(state, nowMs),
    role: "candidate",
    durable,
    ballots: [state.selfId],
    pollHolder: durable.holder,
  };
  if (hasMajority(standing)) {
    const led = startLeading(standing, nowMs);
    return { state: led.state, actions: [{ type: "persist", durable }, ...led.actions] };
  }
  const message: VoteRequest = {
    type: "vote-request",
    term: durable.term,
    last: { term: durable.entry.term, index: durable.entry.index },
  };
  // Our own vote is on disk before anybody can count it.
  return {
    state: standing,
    actions: [
      { type: "persist", durable },
      ...peersOf(state).map((to): Action => ({ type: "send", to, message })),
    ],
  };
}

/**
 * Answers a peer that stands for election. At most one vote a term, even across a crash, and none
 * while a promise to the present leader runs.
 *
 * Source: Raft thesis 3.4 (one vote), 3.6.1 (newest log), 4.2.3 (a node that hears its leader
 * refuses), 9.6 (pre-vote).
 */
export function onVoteRequested(
  state: State,
  from: number,
  request: VoteRequest,
  nowMs: Ms,
): Step<State, Action> {
  const isPreVote = request.type === "pre-vote-request";
  const isBound =
    nowMs < state.silentUntilMs ||
    (nowMs < state.promisedUntilMs && state.leaderId !== from) ||
    nowMs < (leaseUntilMs(state) ?? 0) ||
    state.isStopped;
  // A refusal by promise ignores the term as well: the asker must not disturb a working leader.
  if (isBound || request.term < state.durable.term) {
    return { state, actions: [reply(state, from, isPreVote, false)] };
  }
  const isNewEnough = compareEntries(request.last, state.durable.entry) >= 0;
  if (isPreVote) {
    const granted = isNewEnough && request.term > state.durable.term;
    return { state, actions: [reply(state, from, true, granted)] };
  }
  const votedFor = request.term === state.durable.term ? state.durable.votedFor : null;
  const granted = isNewEnough && (votedFor === null || votedFor === from);
  const isNewTerm = request.term > state.durable.term;
  if (!granted && !isNewTerm) return { state, actions: [reply(state, from, false, false)] };
  const durable = { ...state.durable, term: request.term, votedFor: granted ? from : votedFor };
  const asFollower = isNewTerm || granted ? follow(state, null) : state;
  const next: State = {
    ...(granted ? retryLater(asFollower, nowMs) : asFollower),
    durable,
  };
  return {
    state: next,
    actions: [{ type: "persist", durable }, reply(next, from, false, granted)],
  };
}

export function onVoteReplied(
  state: State,
  from: number,
  answer: VoteReply,
  nowMs: Ms,
): Step<State, Action> {
  if (answer.term > state.durable.term && !answer.granted) return adoptTerm(state, answer.term);
  // A pre-vote may come from a node that is behind by terms; a vote is for exactly this term.
  const isAwaited =
    answer.type === "pre-vote-reply"
      ? state.role === "pre-candidate" && answer.term <= state.durable.term
      : state.role === "candidate" && answer.term === state.durable.term;
  if (!answer.granted || !isAwaited || state.ballots.includes(from)) return { state, actions: [] };
  const counted = learnHolder({ ...state, ballots: [...state.ballots, from] }, answer);
  if (!hasMajority(counted)) return { state: counted, actions: [] };
  return counted.role === "pre-candidate"
    ? startVote(counted, nowMs)
    : startLeading(counted, nowMs);
}

/**
 * A secret came in. When it is the holder's, the VIP is gone there: nobody has to wait for that
 * node's lease, neither to elect nor to take over.
 */
export function onReleaseProven(state: State, secret: string, nowMs: Ms): State {
  const hash = createHash("sha256").update(secret, "utf8").digest("hex");
  if (state.releasedHashes.includes(hash)) return state;
  const isAwaited = [state.durable.holder, state.pollHolder].some(
    (holder) => holder?.releaseHash === hash && holder.nodeId !== state.selfId,
  );
  if (!isAwaited) return state;
  const releasedHashes = [...state.releasedHashes, hash].slice(-RELEASED_HASHES_MAX);
  const known: State = { ...state, releasedHashes };
  if (known.leading !== null) {
    if (known.pollHolder?.releaseHash !== hash) return known;
    const vipClearAtMs = Math.min(known.leading.vipClearAtMs, nowMs);
    return { ...known, leading: { ...known.leading, vipClearAtMs } };
  }
  const { holder, term } = known.durable;
  const wasOurLeader =
    holder?.releaseHash === hash && holder.nodeId === known.leaderId && holder.term === term;
  return wasOurLeader ? standSoon({ ...known, leaderId: null, promisedUntilMs: 0 }, nowMs) : known;
}

/**
 * The leader said that it leads no longer: its lease protects nothing. A goodbye from another term
 * is one of an earlier run, overtaken by the messages of the present one.
 */
export function onLeaderLeft(state: State, from: number, term: number, nowMs: Ms): State {
  if (state.leaderId !== from || state.leading !== null || state.durable.term !== term) {
    return state;
  }
  return standSoon({ ...state, leaderId: null, promisedUntilMs: 0 }, nowMs);
}

function learnHolder(state: State, answer: VoteReply): State {
  const { holder } = answer;
  if (holder === null) return state;
  const isNewer = state.pollHolder === null || holder.term > state.pollHolder.term;
  const pollHolder = isNewer ? holder : state.pollHolder;
  const isProof =
    answer.isReleased &&
    holder.releaseHash === pollHolder?.releaseHash &&
    !state.releasedHashes.includes(holder.releaseHash);
  const releasedHashes = isProof
    ? [...state.releasedHashes, holder.releaseHash].slice(-RELEASED_HASHES_MAX)
    : state.releasedHashes;
  return { ...state, pollHolder, releasedHashes };
}

function hasMajority(state: State): boolean {
  return state.ballots.length >= majorityOf(state.memberIds.length);
}

function reply(state: State, to: number, isPreVote: boolean, granted: boolean): Action {
  const { holder } = state.durable;
  const message: VoteReply = {
    type: isPreVote ? "pre-vote-reply" : "vote-reply",
    term: state.durable.term,
    granted,
    holder,
    isReleased: holder !== null && isReleased(state, holder),
  };
  return { type: "send", to, message };
}
