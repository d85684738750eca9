import { createHash } from "node:crypto";
import type { Ms, Step } from "../../../base/index.ts";
import type { VoteReply, VoteRequest } from "../../../wire/watchdog/index.ts";
import { startLeading } from "./leading.ts";
import { isQuorum, leaseUntilMs, peersOf } from "./quorum.ts";
import {
  adoptTerm,
  follow,
  isReleased,
  proofOfRelease,
  retryLater,
  standSoon,
} from "./standing.ts";
import { compareEntries, type Action, type State } from "./state.ts";

const RELEASED_MAX = 16;

/** Stands for election: first asks whether it could win, so that a lone node raises no term. */
export function startPreVote(state: State, nowMs: Ms): Step<State, Action> {
  const asking: State = {
    ...retryLater(state, nowMs),
    role: "pre-candidate",
    leaderId: null,
    ballots: [state.selfId],
    pollHolder: state.durable.holder,
  };
  if (isQuorum(asking, asking.ballots)) return startVote(asking, nowMs);
  return { state: asking, actions: ask(asking, "pre-vote-request", state.durable.term + 1) };
}

/**
 * Demands the votes. With a proof that the last holder has let go, its voters promise at once what
 * a first round would ask of them, so the winner need not wait for one.
 */
export function startVote(state: State, nowMs: Ms): Step<State, Action> {
  const durable = { ...state.durable, term: state.durable.term + 1, votedFor: state.selfId };
  const standing: State = {
    ...retryLater(state, nowMs),
    role: "candidate",
    leaderId: null,
    durable,
    ballots: [state.selfId],
    promiseAskedAtMs: proofOfRelease(state) === null ? null : nowMs,
    pollHolder: durable.holder,
    prepared: null,
  };
  const persist: Action = { type: "persist", durable };
  if (isQuorum(standing, standing.ballots)) {
    const led = startLeading(standing, nowMs);
    return { state: led.state, actions: [persist, ...led.actions] };
  }
  // Our own vote is on disk before an answer can be counted beside it: that is another step.
  return { state: standing, actions: [...ask(standing, "vote-request", durable.term), persist] };
}

function ask(state: State, type: VoteRequest["type"], term: number): Action[] {
  const { entry } = state.durable;
  const message: VoteRequest = {
    type,
    term,
    last: { term: entry.term, index: entry.index },
    proof: proofOfRelease(state),
    asksPromise: state.promiseAskedAtMs !== null,
  };
  return peersOf(state).map((to): Action => ({ type: "send", to, message }));
}

/**
 * Answers a peer that stands for election. At most one vote a term, even across a crash, and none
 * while a promise to the present leader runs.
 *
 * Source: Raft thesis 3.4 (one vote), 3.6.1 (newest log), 4.2.3 (a node that hears its leader
 * refuses), 9.6 (pre-vote).
 */
export function onVoteRequested(
  before: State,
  from: number,
  request: VoteRequest,
  nowMs: Ms,
): Step<State, Action> {
  const state = request.proof === null ? before : onReleaseProven(before, request.proof, nowMs);
  const isPreVote = request.type === "pre-vote-request";
  const boundMs = boundForMs(state, from, nowMs);
  // A refusal by promise ignores the term as well: the asker must not disturb a working leader.
  if (boundMs > 0 || request.term < state.durable.term || state.mute !== null) {
    return { state, actions: [reply(state, from, isPreVote, false, boundMs)] };
  }
  const isNewEnough = compareEntries(request.last, state.durable.entry) >= 0;
  if (isPreVote) {
    const granted = isNewEnough && request.term > state.durable.term;
    return { state, actions: [reply(state, from, true, granted, 0)] };
  }
  const votedFor = request.term === state.durable.term ? state.durable.votedFor : null;
  const granted = isNewEnough && (votedFor === null || votedFor === from);
  const isNewTerm = request.term > state.durable.term;
  if (!granted && !isNewTerm) return { state, actions: [reply(state, from, false, false, 0)] };
  const durable = { ...state.durable, term: request.term, votedFor: granted ? from : votedFor };
  const followed: State = { ...(isNewTerm || granted ? follow(state, null) : state), durable };
  const next = granted ? voteFor(followed, from, request.asksPromise, nowMs) : followed;
  return {
    state: next,
    actions: [{ type: "persist", durable }, reply(next, from, false, granted, 0)],
  };
}

function voteFor(state: State, from: number, asksPromise: boolean, nowMs: Ms): State {
  const later = retryLater(state, nowMs);
  if (!asksPromise) return later;
  const promisedUntilMs = Math.max(state.promisedUntilMs, nowMs + state.timing.promiseMs);
  return { ...later, promisedTo: from, promisedUntilMs };
}

/** For how long this node may vote for nobody, or for nobody else; 0: it is free. */
function boundForMs(state: State, from: number, nowMs: Ms): Ms {
  if (state.isStopped) return state.timing.promiseMs;
  const promiseMs = state.promisedTo === from ? 0 : state.promisedUntilMs - nowMs;
  const leaseMs = (leaseUntilMs(state) ?? 0) - nowMs;
  return Math.max(0, state.silentUntilMs - nowMs, promiseMs, leaseMs);
}

export function onVoteReplied(
  state: State,
  from: number,
  answer: VoteReply,
  nowMs: Ms,
): Step<State, Action> {
  if (answer.term > state.durable.term && !answer.granted) return adoptTerm(state, answer.term);
  if (!answer.granted && answer.boundMs > 0)
    return { state: waitFor(state, answer, nowMs), actions: [] };
  // A pre-vote may come from a node that is behind by terms; a vote is for exactly this term.
  const isAwaited =
    answer.type === "pre-vote-reply"
      ? state.role === "pre-candidate" && answer.term <= state.durable.term
      : state.role === "candidate" && answer.term === state.durable.term;
  if (!answer.granted || !isAwaited || state.ballots.includes(from)) return { state, actions: [] };
  const counted = learnHolder({ ...state, ballots: [...state.ballots, from] }, answer);
  if (!isQuorum(counted, counted.ballots)) return { state: counted, actions: [] };
  return counted.role === "pre-candidate"
    ? startVote(counted, nowMs)
    : startLeading(counted, nowMs);
}

/** A voter is still bound: asking again right after that costs less than a random wait. */
function waitFor(state: State, answer: VoteReply, nowMs: Ms): State {
  if (state.role !== "pre-candidate" || answer.type !== "pre-vote-reply") return state;
  const againMs = nowMs + answer.boundMs + state.timing.slotMs / 10;
  return { ...state, electionAtMs: Math.min(state.electionAtMs, againMs) };
}

/**
 * A secret came in. When it is the holder's, the VIP is gone there: nobody has to wait for that
 * node's lease, neither to elect nor to take over.
 */
export function onReleaseProven(state: State, secret: string, nowMs: Ms): State {
  const hash = createHash("sha256").update(secret, "utf8").digest("hex");
  if (state.released.some((known) => known.hash === hash && known.secret !== null)) return state;
  const isAwaited = [state.durable.holder, state.pollHolder].some(
    (holder) => holder?.releaseHash === hash && holder.nodeId !== state.selfId,
  );
  if (!isAwaited) return state;
  const others = state.released.filter((known) => known.hash !== hash);
  const known: State = { ...state, released: [...others, { hash, secret }].slice(-RELEASED_MAX) };
  if (known.leading !== null) {
    if (known.pollHolder?.releaseHash !== hash) return known;
    const vipClearAtMs = Math.min(known.leading.vipClearAtMs, nowMs);
    return { ...known, leading: { ...known.leading, vipClearAtMs } };
  }
  const { holder, term } = known.durable;
  const isOfOurLeader =
    holder?.releaseHash === hash && holder.nodeId === known.promisedTo && holder.term === term;
  return isOfOurLeader ? standSoon(freeOfPromise(known), holder.nodeId, nowMs) : known;
}

/**
 * The leader said that it leads no longer: its lease protects nothing. A goodbye from another term
 * is one of an earlier run, overtaken by the messages of the present one.
 */
export function onLeaderLeft(state: State, from: number, term: number, nowMs: Ms): State {
  if (state.promisedTo !== from || state.leading !== null || state.durable.term !== term) {
    return state;
  }
  return standSoon(freeOfPromise(state), from, nowMs);
}

function freeOfPromise(state: State): State {
  return { ...state, leaderId: null, promisedTo: null, promisedUntilMs: 0 };
}

function learnHolder(state: State, answer: VoteReply): State {
  const { holder } = answer;
  if (holder === null) return state;
  const isNewer = state.pollHolder === null || holder.term > state.pollHolder.term;
  const pollHolder = isNewer ? holder : state.pollHolder;
  const hash = holder.releaseHash;
  const isNews =
    answer.isReleased &&
    hash === pollHolder?.releaseHash &&
    !state.released.some((known) => known.hash === hash);
  const released = isNews
    ? [...state.released, { hash, secret: null }].slice(-RELEASED_MAX)
    : state.released;
  return { ...state, pollHolder, released };
}

function reply(
  state: State,
  to: number,
  isPreVote: boolean,
  granted: boolean,
  boundMs: Ms,
): Action {
  const { holder } = state.durable;
  const message: VoteReply = {
    type: isPreVote ? "pre-vote-reply" : "vote-reply",
    term: state.durable.term,
    granted,
    holder,
    isReleased: holder !== null && isReleased(state, holder),
    boundMs: Math.ceil(boundMs),
  };
  return { type: "send", to, message };
}
