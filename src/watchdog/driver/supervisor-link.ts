import type { Log } from "../../os/index.ts";
import type { FromWatchdog } from "../../wire/ipc/index.ts";

/** Why this node must not run, and what to do about it. */
export interface Refusal {
  readonly message: string;
  readonly hint: string;
}

/** Exit status of a watchdog that must not be started again. */
const REFUSED_STATUS = 4;
/** Of one that a mistake in this program has ended. */
const FAILED_STATUS = 1;

/**
 * To the supervisor; without one (its end is noticed elsewhere) nobody needs to know. Without the
 * callback a supervisor that ends at this moment would end this process before it hands over.
 */
export function tell(message: FromWatchdog): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

/** Other errors than those foreseen go to the node's log, wherever that is, before the end. */
export function endLoudly(log: Log): void {
  process.on("uncaughtException", (error: unknown) => {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.write("fatal", "the watchdog ends by an error that was not foreseen", { detail });
    process.exit(FAILED_STATUS);
  });
}

/** The supervisor writes the reason to the log; without one it goes to standard error. */
export function endWith(refusal: Refusal): never {
  if (process.connected) tell({ type: "fatal", ...refusal });
  else process.stderr.write(`FATAL:  ${refusal.message}\nHINT:  ${refusal.hint}\n`);
  process.exit(REFUSED_STATUS);
}
