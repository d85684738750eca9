/**
 * A planned move. The leader names a successor, which gets everything ready behind its closed
 * fence and says so; only then does the leader let go. Its proof of release starts the successor's
 * election at once, and carries it.
 *
 *     leader ── prepare-transfer ──▶ successor        arms
 *            ◀── transfer-ready ──
 *     closes, shows its secret ──▶ everybody
 *                 successor ── vote-request with the secret ──▶ everybody
 */
import type { Ms, Step } from "../../../base/index.ts";
import { startVote } from "./election.ts";
import { isVoter, peersOf, votersOf } from "./quorum.ts";
import { follow, isReleased, retryLater } from "./standing.ts";
import { compareEntries, type Action, type Leading, type State } from "./state.ts";

/** How much of P a successor may take to get ready. */
const PATIENCE_OF_PROMISE = 0.5;

export function onTransferRequested(
  state: State,
  wantedId: number | null,
  nowMs: Ms,
): Step<State, Action> {
  const { leading, timing, durable } = state;
  const to = leading === null ? null : successorOf(state, leading, wantedId, nowMs);
  if (leading === null || to === null || leading.transfer !== null) return { state, actions: [] };
  const untilMs = nowMs + timing.promiseMs * PATIENCE_OF_PROMISE;
  return {
    state: { ...state, leading: { ...leading, transfer: { to, untilMs } } },
    actions: [{ type: "send", to, message: { type: "prepare-transfer", term: durable.term } }],
  };
}

/** A voter that has all and was heard lately; the first in order, unless one was named. */
function successorOf(
  state: State,
  leading: Leading,
  wantedId: number | null,
  nowMs: Ms,
): number | null {
  const { entry } = state.durable;
  const able = new Set(
    votersOf(state).filter((id) => {
      const follower = leading.followers[id];
      if (follower?.isFit !== true || follower.heardAtMs === null) return false;
      if (nowMs - follower.heardAtMs > state.timing.leaseMs / 2) return false;
      return compareEntries(follower.stored, entry) === 0;
    }),
  );
  if (wantedId !== null) return able.has(wantedId) ? wantedId : null;
  return state.order.find((id) => able.has(id)) ?? null;
}

/** This node is to succeed: `withVip` arms, and the answer is sent when that is done. */
export function onPrepareTransfer(
  state: State,
  from: number,
  term: number,
  nowMs: Ms,
): Step<State, Action> {
  const isOurs = state.leaderId === from && state.durable.term === term && isVoter(state);
  if (!isOurs || state.leading !== null) return { state, actions: [] };
  const untilMs = nowMs + state.timing.promiseMs;
  const prepared: State = { ...state, prepared: { term, untilMs } };
  // Without a VIP there is nothing to get ready.
  if (state.ownReleaseHash === null) return { state: prepared, actions: sayReady(prepared) };
  return { state: prepared, actions: [] };
}

export function sayReady(state: State): Action[] {
  const { prepared, leaderId } = state;
  if (prepared === null || leaderId === null || prepared.term !== state.durable.term) return [];
  const message = { type: "transfer-ready", term: prepared.term } as const;
  return [{ type: "send", to: leaderId, message }];
}

/** The leader lets go. Without a VIP there is no secret to show, and a goodbye does instead. */
export function onTransferReady(
  state: State,
  from: number,
  term: number,
  nowMs: Ms,
): Step<State, Action> {
  const isAwaited = state.leading?.transfer?.to === from && state.durable.term === term;
  if (!isAwaited) return { state, actions: [] };
  const hasVip = state.vip.phase !== "none";
  const resigned = retryLater(follow(state, null), nowMs);
  return { state: resigned, actions: hasVip ? [] : sayLeaving(state, false) };
}

export function sayLeaving(state: State, stops: boolean): Action[] {
  const message = { type: "leaving", term: state.durable.term, stops } as const;
  return peersOf(state).map((to): Action => ({ type: "send", to, message }));
}

/**
 * The leader that prepared this node has let go: nobody needs to be asked first whether this node
 * could win.
 *
 * @param isGone the leader of the present term said goodbye.
 */
export function standIfPrepared(state: State, isGone: boolean, nowMs: Ms): Step<State, Action> {
  const { term, holder } = state.durable;
  const isProven = holder?.term === term && isReleased(state, holder);
  const isTime = state.prepared?.term === term && (isGone || isProven);
  const mayStand = isVoter(state) && !state.isStopped && state.role === "follower";
  if (!isTime || !mayStand) return { state, actions: [] };
  if (nowMs < state.silentUntilMs || nowMs < state.promisedUntilMs) return { state, actions: [] };
  return startVote(state, nowMs);
}
