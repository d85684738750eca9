import type { Ms } from "../base/index.ts";

/**
 * Milliseconds, with their fraction, of the clock that no date change moves. The origin is that
 * of the machine (its start), so values of two processes of one machine may be compared; values
 * of two machines may not.
 */
export function monotonicNowMs(): Ms {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
