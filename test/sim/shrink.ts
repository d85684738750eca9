/** Finds a few faults that are enough for a breach: leaves out what it happens without. */
import { runSeed, type RunOptions, type RunResult } from "./run-seed.ts";

const RUNS_MAX = 600;

/** @returns the run with the fewest faults that still breaks the same promise. */
export function shrink(options: RunOptions, failed: RunResult): RunResult {
  const { breach } = failed;
  if (breach === null) return failed;
  let best = failed;
  let runCount = 0;
  const attempt = (kept: readonly number[]): boolean => {
    if (runCount >= RUNS_MAX) return false;
    runCount += 1;
    const run = runSeed({ ...options, trace: null, kept: new Set(kept) });
    if (run.breach?.promise !== breach.promise) return false;
    best = run;
    return true;
  };
  const numbersOf = (run: RunResult): readonly number[] =>
    run.faults.filter(({ atMs }) => atMs <= (run.breach?.atMs ?? 0)).map(({ number }) => number);
  attempt(numbersOf(best));
  for (let size = Math.ceil(numbersOf(best).length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let start = 0; start < numbersOf(best).length;) {
      const numbers = numbersOf(best);
      const rest = [...numbers.slice(0, start), ...numbers.slice(start + size)];
      if (!attempt(rest)) start += size;
    }
  }
  return best;
}
