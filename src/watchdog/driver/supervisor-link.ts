import type { FromWatchdog } from "../../wire/ipc/index.ts";

/** Why this node must not run, and what to do about it. */
export interface Refusal {
  readonly message: string;
  readonly hint: string;
}

/** Exit status of a watchdog that must not be started again. */
const REFUSED_STATUS = 4;

/** To the supervisor; without one (its end is noticed elsewhere) nobody needs to know. */
export function tell(message: FromWatchdog): void {
  if (process.connected) process.send?.(message);
}

export function endWith(refusal: Refusal): never {
  tell({ type: "fatal", ...refusal });
  process.exit(REFUSED_STATUS);
}
