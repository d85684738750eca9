/**
 * What any node does between elections: follow, learn of a later term, choose when to stand. Delays
 * are random within a slot and apart by rank, so that one candidate is alone.
 */
import type { Ms, Step } from "../../../base/index.ts";
import type { HolderRecord } from "../../../wire/watchdog/index.ts";
import { nextRandom, type Action, type State } from "./state.ts";

/** A later term exists: whatever this node was, it follows now, and has not voted in that term. */
export function adoptTerm(state: State, term: number): Step<State, Action> {
  const durable = { ...state.durable, term, votedFor: null };
  return { state: { ...follow(state, null), durable }, actions: [{ type: "persist", durable }] };
}

export function follow(state: State, leaderId: number | null): State {
  return { ...state, role: "follower", leaderId, leading: null, ballots: [] };
}

export function isReleased(state: State, holder: HolderRecord): boolean {
  return state.releasedHashes.includes(holder.releaseHash);
}

/** When to stand after a proof of release: nobody has to wait for a promise. */
export function standSoon(state: State, nowMs: Ms): State {
  const random = nextRandom(state.seed);
  const delayMs = (state.rank + random.value) * state.timing.quickSlotMs;
  return {
    ...state,
    seed: random.seed,
    electionAtMs: Math.max(nowMs + delayMs, state.silentUntilMs),
  };
}

/** When to stand (again), far enough from the others that one of them wins. */
export function retryLater(state: State, nowMs: Ms): State {
  const random = nextRandom(state.seed);
  const { promiseMs, slotMs } = state.timing;
  const delayMs = Math.max(100, promiseMs / 4) * (1 + random.value) + state.rank * slotMs;
  return {
    ...state,
    seed: random.seed,
    electionAtMs: Math.max(nowMs + delayMs, state.silentUntilMs),
  };
}

/** When to stand if the leader is not heard again: after the promise, by rank. */
export function standAfterPromise(state: State): State {
  const random = nextRandom(state.seed);
  const delayMs = (state.rank + random.value) * state.timing.slotMs;
  return { ...state, seed: random.seed, electionAtMs: state.promisedUntilMs + delayMs };
}
