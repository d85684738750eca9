/**
 * When the driver is asked to make the VIP ready, to open it, and to let it go. The order is what
 * makes it safe: the permit is in the kernel before a round is sent, a quorum answers that round,
 * and only then one renewal is issued; it has no effect when the permit has run out by then.
 */
import type { Ms, Step } from "../../../base/index.ts";
import { mayHoldVipUntilMs, quorumSentMs } from "./quorum.ts";
import type { Action, State, VipPermit } from "./state.ts";

/** A leader gets ready, and so does who is about to become one and need not wait. */
export function wantsVip(state: State): boolean {
  if (state.isStopped || state.mute !== null || state.ownReleaseHash === null) return false;
  if (state.leading !== null) return true;
  if (state.prepared !== null) return true;
  return state.role === "candidate" && state.promiseAskedAtMs !== null;
}

/** When `arm-vip` is due; null: it is not wanted, or asked for already, or in force. */
export function armDueAtMs(state: State): Ms | null {
  const { vip, fence, leading } = state;
  if (!wantsVip(state) || vip.phase === "asked") return null;
  const clearAtMs = leading?.vipClearAtMs ?? 0;
  if (vip.phase !== "armed") return Math.max(vip.askAtMs, clearAtMs);
  return fence.kernelLeaseMs === null ? null : vip.permitAtMs + fence.kernelLeaseMs;
}

/**
 * Puts what is due for the VIP around the actions of a step: closing comes first, arming last,
 * since it is slow.
 *
 * @param before the state before the step.
 */
export function withVip(before: State, step: Step<State, Action>, nowMs: Ms): Step<State, Action> {
  const { vip } = step.state;
  const hadIt = before.vip.phase !== "none";
  if (hadIt && !wantsVip(step.state)) {
    // Its secret is about to be shown: the next time as holder has another.
    const isShown = step.state.ownReleaseHash !== before.ownReleaseHash;
    const ownReleaseHash = isShown ? step.state.ownReleaseHash : null;
    const state: State = { ...step.state, vip: { ...vip, phase: "none" }, ownReleaseHash };
    return { state, actions: [{ type: "close-vip" }, ...step.actions] };
  }
  const dueMs = armDueAtMs(step.state);
  if (dueMs === null || nowMs < dueMs) return step;
  const id = vip.id + 1;
  const asked: VipPermit = { ...vip, phase: "asked", id, askedAtMs: nowMs };
  const state: State = { ...step.state, vip: asked };
  return { state, actions: [...step.actions, { type: "arm-vip", id }] };
}

/** Opens the VIP, or keeps it open, when a quorum has answered a round newer than the permit. */
export function renewVip(state: State, nowMs: Ms): Step<State, Action> {
  const { leading, vip, fence } = state;
  const unchanged = { state, actions: [] };
  if (leading === null || vip.phase !== "armed") return unchanged;
  const untilMs = mayHoldVipUntilMs(state);
  const sentMs = quorumSentMs(state, leading);
  if (untilMs === null || sentMs === null || nowMs >= untilMs) return unchanged;
  // What was set is in the kernel by then; a renewal may be issued later than its step began.
  const isNewer = vip.isRenewed ? sentMs > vip.permitAtMs : sentMs >= vip.permitAtMs;
  if (!isNewer || sentMs < (leading.distrustedAtMs ?? 0)) return unchanged;
  const { kernelLeaseMs } = fence;
  if (kernelLeaseMs !== null && nowMs >= vip.permitAtMs + kernelLeaseMs) return unchanged;
  const renewed: State = { ...state, vip: { ...vip, permitAtMs: nowMs, isRenewed: true } };
  return { state: renewed, actions: [{ type: "renew-vip" }] };
}

/** The commands that bring the address up may take this long. */
const ARM_WITHIN_MS: Ms = 6000;
const UNABLE_OF_PROMISE = 20;

/** A leader whose kernel does not do as it is asked is no good to anybody, and says so for a while. */
export function noticeUnable(state: State, nowMs: Ms): State {
  const { vip, timing } = state;
  const withinMs = Math.max(ARM_WITHIN_MS, timing.promiseMs);
  if (vip.phase !== "asked" || nowMs < vip.askedAtMs + withinMs) return state;
  const unableUntilMs = nowMs + timing.promiseMs * UNABLE_OF_PROMISE;
  return { ...state, vip: { ...vip, unableUntilMs } };
}

export function isAble(state: State, nowMs: Ms): boolean {
  return state.isFit && nowMs >= state.vip.unableUntilMs;
}

export function onVipArmed(state: State, id: number, nowMs: Ms): State {
  if (state.vip.phase !== "asked" || state.vip.id !== id) return state;
  return { ...state, vip: { ...state.vip, phase: "armed", permitAtMs: nowMs, isRenewed: false } };
}

export function onVipLost(state: State, nowMs: Ms): State {
  if (state.vip.phase === "none") return state;
  const askAtMs = nowMs + state.timing.roundMs;
  return { ...state, vip: { ...state.vip, phase: "lost", askAtMs } };
}
