/**
 * Which connections may wait at the door while they prove who they are. Strangers can open any
 * number of them and say nothing; members must get in all the same:
 *
 * - A full room drops the longest waiting stranger, never the newcomer.
 * - An address has a few places, so that one host cannot fill the room. Where members live, a
 *   newcomer takes the place of the longest waiting one: their handshake takes milliseconds.
 * - Strangers together may knock so often and no more, because every handshake costs a signature.
 *
 * A member that comes from another address than its hostnameN has is a stranger until it has
 * proved itself.
 */
import { assert, type Ms } from "../../base/index.ts";

/** A connection that has not yet proved anything. */
export interface Waiting {
  readonly key: number;
  readonly address: string;
  readonly isMembersAddress: boolean;
}

export interface Admission {
  /** The longest waiting first. */
  readonly waiting: readonly Waiting[];
  /** How many more strangers may knock at `tokensAtMs`. */
  readonly tokens: number;
  readonly tokensAtMs: Ms;
}

export const WAITING_MAX = 64;
export const WAITING_MAX_OF_ONE_ADDRESS = 16;
export const STRANGERS_MAX_A_SECOND = 50;

export function startAdmission(nowMs: Ms): Admission {
  return { waiting: [], tokens: STRANGERS_MAX_A_SECOND, tokensAtMs: nowMs };
}

/** `turnedAway` are the keys to drop: the newcomer's own, one that waits, or none. */
export function admit(
  before: Admission,
  newcomer: Waiting,
  nowMs: Ms,
): { readonly state: Admission; readonly turnedAway: readonly number[] } {
  const state = refill(before, nowMs);
  if (!newcomer.isMembersAddress && state.tokens < 1) return { state, turnedAway: [newcomer.key] };
  const tokens = newcomer.isMembersAddress ? state.tokens : state.tokens - 1;
  const loser = loserFor(state.waiting, newcomer);
  const stay = state.waiting.filter(({ key }) => key !== loser?.key);
  assert(stay.length < WAITING_MAX, `${stay.length} connections wait at the door`);
  return {
    state: { ...state, tokens, waiting: [...stay, newcomer] },
    turnedAway: loser === undefined ? [] : [loser.key],
  };
}

/** It has proved itself, or is gone. */
export function leave(state: Admission, key: number): Admission {
  return { ...state, waiting: state.waiting.filter((one) => one.key !== key) };
}

function loserFor(waiting: readonly Waiting[], newcomer: Waiting): Waiting | undefined {
  const neighbours = waiting.filter(({ address }) => address === newcomer.address);
  if (neighbours.length >= WAITING_MAX_OF_ONE_ADDRESS) return neighbours[0];
  if (waiting.length < WAITING_MAX) return undefined;
  return waiting.find(({ isMembersAddress }) => !isMembersAddress) ?? waiting[0];
}

function refill(state: Admission, nowMs: Ms): Admission {
  const gained = ((nowMs - state.tokensAtMs) * STRANGERS_MAX_A_SECOND) / 1000;
  const tokens = Math.min(STRANGERS_MAX_A_SECOND, state.tokens + gained);
  return { ...state, tokens, tokensAtMs: nowMs };
}
