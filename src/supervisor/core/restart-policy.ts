import type { Ms } from "../../base/index.ts";

/**
 * How long to wait before a child that died is started again: at once when it had run for a
 * while, later and later when it dies young, so that a broken one does not eat the machine.
 */
export interface RestartHistory {
  readonly startedAtMs: Ms;
  /** Deaths in a row that came soon after the start. */
  readonly earlyDeaths: number;
}

export const EARLY_DEATH_MS: Ms = 5000;
const DELAY_FIRST_MS: Ms = 100;
const DELAY_MAX_MS: Ms = 10_000;

export function newRestartHistory(nowMs: Ms): RestartHistory {
  return { startedAtMs: nowMs, earlyDeaths: 0 };
}

/** Asked when the child has died; `history.startedAtMs` of the answer is the next start. */
export function planRestart(
  history: RestartHistory,
  nowMs: Ms,
): { readonly delayMs: Ms; readonly history: RestartHistory } {
  const isEarly = nowMs - history.startedAtMs < EARLY_DEATH_MS;
  const earlyDeaths = isEarly ? history.earlyDeaths + 1 : 0;
  const delayMs =
    earlyDeaths === 0 ? 0 : Math.min(DELAY_FIRST_MS * 2 ** (earlyDeaths - 1), DELAY_MAX_MS);
  return { delayMs, history: { startedAtMs: nowMs + delayMs, earlyDeaths } };
}
