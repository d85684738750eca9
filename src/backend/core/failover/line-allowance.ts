/**
 * How much of a command's output goes into the log: the first lines at once, then some a second,
 * and at the end the last ones that were left out, so that a failure's last words are there.
 */
import type { Ms } from "../../../base/index.ts";

export const BURST_LINES = 100;
export const LINES_PER_SECOND = 10;
export const LAST_LINES_MAX = 5;

export class LineAllowance {
  #lines = BURST_LINES;
  #atMs: Ms;
  #leftOutCount = 0;
  #lastLeftOut: string[] = [];

  constructor(nowMs: Ms) {
    this.#atMs = nowMs;
  }

  /** What to log now that this line has come. */
  take(line: string, nowMs: Ms): readonly string[] {
    const earned = ((nowMs - this.#atMs) * LINES_PER_SECOND) / 1000;
    this.#lines = Math.min(BURST_LINES, this.#lines + earned);
    this.#atMs = nowMs;
    if (this.#lines < 1) {
      this.#leftOutCount += 1;
      this.#lastLeftOut.push(line);
      if (this.#lastLeftOut.length > LAST_LINES_MAX) this.#lastLeftOut.shift();
      return [];
    }
    this.#lines -= 1;
    const before = this.#leftOut(0);
    this.#leftOutCount = 0;
    this.#lastLeftOut = [];
    return [...before, line];
  }

  /** What to log when no line comes any more. */
  end(): readonly string[] {
    return [...this.#leftOut(this.#lastLeftOut.length), ...this.#lastLeftOut];
  }

  #leftOut(shownCount: number): readonly string[] {
    const count = this.#leftOutCount - shownCount;
    if (count <= 0) return [];
    return [`(${count} more ${count === 1 ? "line" : "lines"}, not logged)`];
  }
}
