/**
 * Who leads, until when, and when the VIP may be open: Raft with pre-vote, leases, check-quorum,
 * leadership transfer and changes of the members, over one replicated value. Every entry carries
 * the whole state, so it is log and snapshot in one, and a newer one replaces it. It never touches
 * a socket, a file or a clock, and does not know what the value means. Read `state.ts`, then
 * `timing.ts`, `quorum.ts`, `election.ts`, `leading.ts`, `following.ts`, `vip-permit.ts`.
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
import { onRound, sayApplied } from "./following.ts";
import {
  leaderWakeAtMs,
  onLeaderTick,
  onMembersWanted,
  onProposed,
  onRoundReplied,
  sendRound,
} from "./leading.ts";
import { isVoter, leaseUntilMs } from "./quorum.ts";
import { withSettled } from "./routing-lease.ts";
import { follow, reorder, retryLater } from "./standing.ts";
import type { Action, Event, State } from "./state.ts";
import {
  onPrepareTransfer,
  onTransferReady,
  onTransferRequested,
  sayLeaving,
  sayReady,
  standIfPrepared,
} from "./transfer.ts";
import { armDueAtMs, isAble, noticeUnable, onVipArmed, onVipLost, withVip } from "./vip-permit.ts";

export { leaseUntilMs, majorityOf, mayHoldVipUntilMs, votersOf } from "./quorum.ts";
export { confirmedUntilMs } from "./routing-lease.ts";
export {
  NOTHING_DURABLE,
  startState,
  type Action,
  type Durable,
  type Event,
  type Role,
  type State,
} from "./state.ts";
export { lifetimeFence, nftFence, NO_FENCE, timingFor, type Fence, type Timing } from "./timing.ts";

export const consensus: Core<State, Event, Action> = { step, wakeAtMs };

function step(state: State, event: Event, nowMs: Ms): Step<State, Action> {
  const taken = take(withoutTrustIfLate(state, nowMs), event, nowMs);
  return withSettled(withVip(state, keepingOwnPromise(state, taken), nowMs), nowMs);
}

function take(state: State, event: Event, nowMs: Ms): Step<State, Action> {
  switch (event.type) {
    case "tick":
      return onTick(state, nowMs);
    case "message":
      return state.nodeIds.includes(event.from) && event.from !== state.selfId
        ? onMessage(state, event.from, event.message, nowMs)
        : { state, actions: [] };
    case "release-proven":
      return onRelease(state, event.secret, nowMs);
    case "release-hash-made":
      return onReleaseHashMade(state, event.hash, nowMs);
    case "vip-armed":
      return onArmed(state, event.id, nowMs);
    case "vip-lost":
      return { state: onVipLost(state, nowMs), actions: [] };
    case "fence-known":
      return { state: { ...state, fence: event.fence }, actions: [] };
    case "ranked":
      return { state: reorder(state, event.order, nowMs), actions: [] };
    case "fitness":
      return { state: { ...state, isFit: event.isFit }, actions: [] };
    case "transfer-requested":
      return onTransferRequested(state, event.to, nowMs);
    case "members-wanted":
      return onMembersWanted(state, event.memberIds, nowMs);
    case "applied":
      return sayApplied(state, event.index, nowMs);
    case "disk-failed":
      return { state: { ...follow(state, null), mute: event.reason }, actions: [] };
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
  const dueMs = [
    state.leading === null ? mayStandAtMs(state) : leaderWakeAtMs(state, state.leading),
    armDueAtMs(state),
    state.prepared?.untilMs ?? null,
  ].filter((ms) => ms !== null);
  return dueMs.length === 0 ? null : Math.min(...dueMs);
}

/** Nobody stands while silent or bound by a promise: that would be a vote, for itself. */
function mayStandAtMs(state: State): Ms | null {
  if (!isVoter(state)) return null;
  return Math.max(state.electionAtMs, state.silentUntilMs, state.promisedUntilMs);
}

/**
 * A leader has promised itself what it asks of the others. When it steps down before its lease is
 * over, it votes for nobody until its VIP is proven gone, or until the lease would have ended.
 */
function keepingOwnPromise(before: State, step: Step<State, Action>): Step<State, Action> {
  const untilMs = leaseUntilMs(before);
  const { vip, selfId } = before;
  if (untilMs === null || step.state.leading !== null || vip.phase === "none") return step;
  const promisedUntilMs = Math.max(step.state.promisedUntilMs, untilMs);
  return { ...step, state: { ...step.state, promisedTo: selfId, promisedUntilMs } };
}

function onTick(before: State, nowMs: Ms): Step<State, Action> {
  if (before.isStopped) return { state: before, actions: [] };
  const { prepared } = before;
  const isForgotten = prepared !== null && nowMs >= prepared.untilMs;
  const state = isForgotten ? { ...before, prepared: null } : before;
  if (state.leading !== null)
    return handOverIfUnfit(onLeaderTick(state, state.leading, nowMs), nowMs);
  const standAtMs = mayStandAtMs(state);
  return standAtMs === null || nowMs < standAtMs
    ? { state, actions: [] }
    : startPreVote(state, nowMs);
}

/** Asked for with every round; while nobody else would do better, an unfit leader stays. */
function handOverIfUnfit(step: Step<State, Action>, nowMs: Ms): Step<State, Action> {
  const state = noticeUnable(step.state, nowMs);
  if (isAble(state, nowMs) || state.leading === null) return step;
  const handed = onTransferRequested(state, null, nowMs);
  return { state: handed.state, actions: [...step.actions, ...handed.actions] };
}

/**
 * Woken far too late, a process knows less than it thinks: a follower's leader may have been heard
 * meanwhile by everybody else, a leader may have a successor. Both ask before they act.
 */
function withoutTrustIfLate(state: State, nowMs: Ms): State {
  const dueMs = wakeAtMs(state);
  const { timing, leading } = state;
  if (dueMs === null || nowMs <= dueMs + timing.lateMs) return state;
  if (leading !== null) return { ...state, leading: { ...leading, distrustedAtMs: nowMs } };
  return { ...state, electionAtMs: Math.max(state.electionAtMs, nowMs + 2 * timing.roundMs) };
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
    case "prepare-transfer":
      return onPrepareTransfer(state, from, message.term, nowMs);
    case "transfer-ready":
      return onTransferReady(state, from, message.term, nowMs);
    case "released":
      return onRelease(state, message.secret, nowMs);
    case "leaving": {
      const left = onLeaderLeft(state, from, message.term, nowMs);
      return left === state ? { state, actions: [] } : standIfPrepared(left, true, nowMs);
    }
    default:
      return unreachable(message);
  }
}

function onRelease(state: State, secret: string, nowMs: Ms): Step<State, Action> {
  const proven = onReleaseProven(state, secret, nowMs);
  const stood = standIfPrepared(proven, false, nowMs);
  return stood.actions.length > 0 ? stood : onTick(proven, nowMs);
}

function onArmed(before: State, id: number, nowMs: Ms): Step<State, Action> {
  const state = onVipArmed(before, id, nowMs);
  if (state === before) return { state, actions: [] };
  if (state.leading !== null) return sendRound(state, nowMs, null);
  return { state, actions: sayReady(state) };
}

/**
 * The old secret is about to be shown. A leader that let the VIP go may not hold it again on a
 * record whose release is proven, so it leads no longer; its next term announces the new hash.
 */
function onReleaseHashMade(state: State, hash: string, nowMs: Ms): Step<State, Action> {
  const isOwnPromise = state.promisedTo === state.selfId;
  const free = isOwnPromise ? { promisedTo: null, promisedUntilMs: 0 } : {};
  const next: State = { ...state, ...free, ownReleaseHash: hash };
  if (state.isStopped) return { state: next, actions: sayLeaving(next, true) };
  const isOvertaken = state.leading !== null && state.ownReleaseHash !== null;
  return { state: isOvertaken ? retryLater(follow(next, null), nowMs) : next, actions: [] };
}

/** Leads and votes no more. Peers may elect as soon as they hear it, so the VIP goes before. */
function onStop(state: State): Step<State, Action> {
  const hasVip = state.vip.phase !== "none";
  return {
    state: { ...follow(state, null), isStopped: true },
    actions: hasVip ? [] : sayLeaving(state, true),
  };
}
