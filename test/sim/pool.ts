/** Spreads runs over the processors: one thread each, which asks for work in small portions. */
import { availableParallelism } from "node:os";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import type { Ms } from "../../src/base/index.ts";
import { plantedBy } from "./canaries/index.ts";
import { runSeed } from "./run-seed.ts";
import { addRun, newTally, type Tally } from "./tally.ts";

/** The seeds `first` to `first + count - 1`; the portion ends early at a breach if asked to. */
export interface Portion {
  readonly first: number;
  readonly count: number;
  readonly nodeCount: number | null;
  readonly safetyMs: Ms;
  readonly canary: string | null;
  readonly endsAtBreach: boolean;
}

const THREADS_MAX = 16;

/**
 * Runs the portions and hands each result over as it comes; `next` may look at what came before it
 * gives the next portion, or null for the end.
 */
export async function runPortions(
  program: URL,
  next: () => Portion | null,
  onDone: (portion: Portion, tally: Tally) => void,
): Promise<void> {
  const count = Math.min(availableParallelism(), THREADS_MAX);
  await Promise.all(
    Array.from({ length: count }, async () => {
      const worker = new Worker(program, { argv: [THREAD_WORD] });
      try {
        for (let portion = next(); portion !== null; portion = next()) {
          onDone(portion, await ask(worker, portion));
        }
      } finally {
        await worker.terminate();
      }
    }),
  );
}

const THREAD_WORD = "simulator-thread";

/** In a thread: answers portions until it is ended. False: this is no thread of ours. */
export function serveInThread(): boolean {
  if (isMainThread || !process.argv.includes(THREAD_WORD)) return false;
  parentPort?.on("message", (portion: Portion) => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
    parentPort?.postMessage(runPortion(portion));
  });
  return true;
}

export function runPortion(portion: Portion): Tally {
  const { first, count, nodeCount, safetyMs, canary, endsAtBreach } = portion;
  const planted = plantedBy(canary);
  const tally = newTally();
  for (let seed = first; seed < first + count; seed++) {
    addRun(tally, runSeed({ seed, nodeCount, safetyMs, kept: null, planted, trace: null }));
    if (endsAtBreach && tally.failures.length > 0) break;
  }
  return tally;
}

async function ask(worker: Worker, portion: Portion): Promise<Tally> {
  return await new Promise((resolve, reject) => {
    worker.once("error", reject);
    worker.once("message", (tally: Tally) => {
      worker.off("error", reject);
      resolve(tally);
    });
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
    worker.postMessage(portion);
  });
}
