/** What every harness of rounds does with its words: help, the run, its results, its exit status. */
import { LabFailure } from "../../../scripts/lab.d/failure.ts";
import type { Say } from "../../../scripts/lab.d/lifecycle.ts";
import type { Result } from "../../../src/base/index.ts";

interface Harness<Options extends { readonly isJson: boolean }, Outcome> {
  /** The word after `test:cluster --`. */
  readonly name: string;
  readonly help: string;
  readonly parse: (
    words: readonly string[],
    momentSeed: number,
  ) => Result<Options | "help", string>;
  /** The process on the client host, which is this very program with another word. */
  readonly part: {
    readonly isAsked: (words: readonly string[]) => boolean;
    readonly run: () => Promise<void>;
  };
  readonly run: (options: Options, say: Say) => Promise<Outcome>;
  readonly format: (outcome: Outcome) => string;
}

/** Progress goes to the standard error, results to the standard output. */
export async function runWords<
  Options extends { readonly isJson: boolean },
  Outcome extends { readonly ok: boolean },
>(harness: Harness<Options, Outcome>): Promise<void> {
  try {
    process.exitCode = await exitCodeOf(harness, process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof LabFailure)) throw error;
    process.stderr.write(`test:cluster ${harness.name}: ${error.message}\n`);
    if (error.hint !== null) process.stderr.write(`${error.hint}\n`);
    process.exitCode = error.exitCode;
  }
}

async function exitCodeOf<
  Options extends { readonly isJson: boolean },
  Outcome extends { readonly ok: boolean },
>(harness: Harness<Options, Outcome>, words: readonly string[]): Promise<number> {
  if (harness.part.isAsked(words)) {
    await harness.part.run();
    return 0;
  }
  const options = harness.parse(words, Date.now() % 1_000_000);
  if (!options.ok) throw new LabFailure(options.error, null, 2);
  if (options.value === "help") {
    process.stdout.write(harness.help);
    return 0;
  }
  const startedMs = performance.now();
  const outcome = await harness.run(options.value, (line) => {
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(6);
    process.stderr.write(`[${seconds} s] ${line}\n`);
  });
  const text = options.value.isJson ? JSON.stringify(outcome, null, 2) : harness.format(outcome);
  process.stdout.write(`${text}\n`);
  return outcome.ok ? 0 : 1;
}
