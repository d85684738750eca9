/** The consensus core as the simulated watchdogs run it: the production step, or one around it. */
import type { Ms, Step } from "../../src/base/index.ts";
import {
  consensus,
  leaseUntilMs,
  type Action,
  type Event,
  type State,
} from "../../src/watchdog/core/consensus/index.ts";

export type StepFunction = (state: State, event: Event, nowMs: Ms) => Step<State, Action>;

export const stepCore: StepFunction = (state, event, nowMs) => consensus.step(state, event, nowMs);

/** What the watchdog's view tells the supervisor: it leads, and a quorum stands behind it. */
export function leadsNow(state: State, nowMs: Ms): boolean {
  return state.leading !== null && nowMs < (leaseUntilMs(state) ?? 0);
}
