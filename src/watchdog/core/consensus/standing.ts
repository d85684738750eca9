/**
 * What any node does between elections: follow, learn of a later term, choose when to stand. Nodes
 * stand apart by their order, so that one candidate is alone; those that met wait at random.
 */
import type { Ms, Step } from "../../../base/index.ts";
import type { HolderRecord } from "../../../wire/watchdog/index.ts";
import { nextRandom, type Action, type State } from "./state.ts";

/** A later term exists: whatever this node was, it follows now, and has not voted in that term. */
export function adoptTerm(state: State, term: number): Step<State, Action> {
  const durable = { ...state.durable, term, votedFor: null };
  const next: State = { ...follow(state, null), durable };
  return { state: next, actions: state.mute === null ? [{ type: "persist", durable }] : [] };
}

export function follow(state: State, leaderId: number | null): State {
  const { role, leading, ballots } = state;
  if (state.leaderId === leaderId && role === "follower" && leading === null && !ballots.length) {
    return state;
  }
  return {
    ...state,
    role: "follower",
    leaderId,
    leading: null,
    ballots: [],
    promiseAskedAtMs: null,
    answered: leaderId === state.leaderId ? state.answered : [],
  };
}

export function isReleased(state: State, holder: HolderRecord): boolean {
  return state.released.some(({ hash }) => hash === holder.releaseHash);
}

/** The secret of the last holder, to be shown to voters; null when it was not seen. */
export function proofOfRelease(state: State): string | null {
  const { holder } = state.durable;
  if (holder === null) return null;
  return state.released.find(({ hash }) => hash === holder.releaseHash)?.secret ?? null;
}

/**
 * When to stand after a proof of release: nobody has to wait for a promise, and the first in order
 * does not wait at all.
 *
 * @param goneId who led, and so does not stand.
 */
export function standSoon(state: State, goneId: number | null, nowMs: Ms): State {
  const delayMs = placeOf(state, goneId) * state.timing.quickSlotMs;
  return { ...state, electionAtMs: Math.max(nowMs + delayMs, state.silentUntilMs) };
}

/** When to stand (again), far enough from the others that one of them wins. */
export function retryLater(state: State, nowMs: Ms): State {
  const random = nextRandom(state.seed);
  const { promiseMs, slotMs } = state.timing;
  const delayMs = Math.max(100, promiseMs / 4) * (1 + random.value) + placeOf(state, null) * slotMs;
  return {
    ...state,
    seed: random.seed,
    electionAtMs: Math.max(nowMs + delayMs, state.silentUntilMs),
  };
}

/**
 * When to stand if the leader is not heard again: after the promise, in order. Not at once: the
 * others heard the same round a little later, and are bound until then.
 */
export function standAfterPromise(state: State): State {
  const random = nextRandom(state.seed);
  const place = placeOf(state, state.promisedTo);
  const delayMs = (place + 0.2 + 0.2 * random.value) * state.timing.slotMs;
  return { ...state, seed: random.seed, electionAtMs: state.promisedUntilMs + delayMs };
}

/** Also moves when this node stands after its start, which was set before anybody was known. */
export function reorder(state: State, order: readonly number[], nowMs: Ms): State {
  const next = { ...state, order };
  if (nowMs >= state.silentUntilMs || state.promisedTo !== null) return next;
  return { ...next, electionAtMs: state.silentUntilMs + placeOf(next, null) * state.timing.slotMs };
}

/** 0 stands first. Behind all others: who would hand over again at once. */
function placeOf(state: State, withoutId: number | null): number {
  const place = state.order.filter((id) => id !== withoutId).indexOf(state.selfId);
  return Math.max(place, 0) + (state.isFit ? 0 : state.nodeIds.length);
}
