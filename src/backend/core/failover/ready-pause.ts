import type { Ms } from "../../../base/index.ts";

/** A command that went on for so long had done what it is for. */
export const READY_AFTER_MS: Ms = 10_000;
const PAUSE_FIRST_MS: Ms = 1000;
const PAUSE_MS_MAX: Ms = 60_000;

/**
 * How long failover_ready_command rests before it is run again: a host that cannot be reached is
 * asked for less and less often.
 *
 * @param beforeMs the pause before the run that has just ended; 0 before the first.
 * @param ranMs how long that run went on.
 */
export function pauseBeforeReady(beforeMs: Ms, ranMs: Ms): Ms {
  if (beforeMs === 0 || ranMs >= READY_AFTER_MS) return PAUSE_FIRST_MS;
  return Math.min(beforeMs * 2, PAUSE_MS_MAX);
}
