import type { Ms } from "../../base/index.ts";
import { monotonicNowMs, type Log, type LogDetails, type LogLevel } from "../../os/index.ts";

const EVERY_MS: Ms = 5000;

/**
 * Lines about traffic that was refused. Whoever sends it decides how much there is, so of each
 * kind the first is told at once, and then one line in five seconds with the number of the others.
 */
export class RefusalLog {
  readonly #log: Log;
  readonly #kinds = new Map<string, { toldAtMs: Ms; untold: number }>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** @param kind one of a few words of the program, never of what was received. */
  write(kind: string, level: LogLevel, message: string, details: LogDetails = {}): void {
    const nowMs = monotonicNowMs();
    const before = this.#kinds.get(kind);
    if (before !== undefined && nowMs - before.toldAtMs < EVERY_MS) {
      before.untold += 1;
      return;
    }
    this.#kinds.set(kind, { toldAtMs: nowMs, untold: 0 });
    const untold = before?.untold ?? 0;
    const more = untold === 0 ? "" : ` (${untold} more like it since the last such line)`;
    this.#log.write(level, `${message}${more}`, details);
  }
}
