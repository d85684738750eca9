/**
 * Who leads, and until when: Raft with pre-vote, leases and check-quorum over one replicated
 * value. Every entry carries the whole state, so the log is one entry long and a newer one
 * replaces it. It never touches a socket, a file or a clock, and does not know what the value
 * means. Read `state.ts`, then `standing.ts`, `election.ts`, `leading.ts`, `following.ts`.
 */
import { unreachable, type Core, type Ms, type Step } from "../../../base/index.ts";
import type { ConsensusMessage } from "../../../wire/watchdog/index.ts";
import {
  onLeaderLeft,
  onReleaseProven,
  onVoteReplied,
  onVoteRequested,
  startPreVote,
} from "./election.ts";
import { onRound } from "./following.ts";
import { leaderWakeAtMs, onLeaderTick, onProposed, onRoundReplied } from "./leading.ts";
import { follow, retryLater } from "./standing.ts";
import { peersOf, type Action, type Event, type State } from "./state.ts";

export {
  leaseUntilMs,
  majorityOf,
  mayHoldVipUntilMs,
  NOTHING_DURABLE,
  startState,
  timingFor,
  type Action,
  type Durable,
  type Event,
  type Role,
  type State,
  type Timing,
} from "./state.ts";

export const consensus: Core<State, Event, Action> = { step, wakeAtMs };

function step(state: State, event: Event, nowMs: Ms): Step<State, Action> {
  switch (event.type) {
    case "tick":
      return onTick(state, nowMs);
    case "message":
      return state.memberIds.includes(event.from) && event.from !== state.selfId
        ? onMessage(state, event.from, event.message, nowMs)
        : { state, actions: [] };
    case "release-proven":
      return onTick(onReleaseProven(state, event.secret, nowMs), nowMs);
    case "release-hash-made":
      return { state: onReleaseHashMade(state, event.hash, nowMs), actions: [] };
    case "proposed":
      return onProposed(state, event, nowMs);
    case "stop-requested":
      return onStop(state);
    default:
      return unreachable(event);
  }
}

function wakeAtMs(state: State): Ms | null {
  if (state.isStopped) return null;
  return state.leading === null ? mayStandAtMs(state) : leaderWakeAtMs(state, state.leading);
}

/** Nobody stands while silent or bound by a promise: that would be a vote, for itself. */
function mayStandAtMs(state: State): Ms {
  return Math.max(state.electionAtMs, state.silentUntilMs, state.promisedUntilMs);
}

function onTick(state: State, nowMs: Ms): Step<State, Action> {
  if (state.isStopped) return { state, actions: [] };
  if (state.leading !== null) return onLeaderTick(state, state.leading, nowMs);
  if (nowMs < mayStandAtMs(state)) return { state, actions: [] };
  return startPreVote(state, nowMs);
}

function onMessage(
  state: State,
  from: number,
  message: ConsensusMessage,
  nowMs: Ms,
): Step<State, Action> {
  switch (message.type) {
    case "pre-vote-request":
    case "vote-request":
      return onVoteRequested(state, from, message, nowMs);
    case "pre-vote-reply":
    case "vote-reply":
      return onVoteReplied(state, from, message, nowMs);
    case "round":
      return state.isStopped ? { state, actions: [] } : onRound(state, from, message, nowMs);
    case "round-reply":
      return onRoundReplied(state, from, message, nowMs);
    case "released":
      return { state: onReleaseProven(state, message.secret, nowMs), actions: [] };
    case "leaving":
      return { state: onLeaderLeft(state, from, message.term, nowMs), actions: [] };
    default:
      return unreachable(message);
  }
}

/**
 * The old secret is about to be shown. A leader that let the VIP go may not hold it again on a
 * record whose release is proven, so it leads no longer; its next term announces the new hash.
 */
function onReleaseHashMade(state: State, hash: string, nowMs: Ms): State {
  const next = { ...state, ownReleaseHash: hash };
  return state.leading === null ? next : retryLater(follow(next, null), nowMs);
}

/**
 * Leads and votes no more. The driver gives up the VIP first, then performs the sends; peers may
 * elect as soon as they hear it.
 */
function onStop(state: State): Step<State, Action> {
  const stopped: State = { ...follow(state, null), isStopped: true };
  const message: ConsensusMessage = { type: "leaving", term: state.durable.term };
  return { state: stopped, actions: peersOf(state).map((to) => ({ type: "send", to, message })) };
}
