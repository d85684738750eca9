/**
 * `npm run test:cluster -- vip`: reads the words, runs the rounds, tells what came of them. Progress
 * goes to the standard error, results to the standard output.
 */
import { LabFailure } from "../../../scripts/lab.d/failure.ts";
import { formatOutcome } from "./figures.ts";
import { HELP, parseVipOptions } from "./options.ts";
import { isProbe, runQueryProbe } from "./query-probe.ts";
import { runRounds } from "./run-rounds.ts";

const startedMs = performance.now();

function say(line: string): void {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(6);
  process.stderr.write(`[${seconds} s] ${line}\n`);
}

async function main(words: readonly string[]): Promise<number> {
  if (isProbe(words)) {
    await runQueryProbe();
    return 0;
  }
  const options = parseVipOptions(words, Date.now() % 1_000_000);
  if (!options.ok) throw new LabFailure(options.error, null, 2);
  if (options.value === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  const outcome = await runRounds(options.value, say);
  const text = options.value.isJson ? JSON.stringify(outcome, null, 2) : formatOutcome(outcome);
  process.stdout.write(`${text}\n`);
  return outcome.ok ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof LabFailure)) throw error;
  process.stderr.write(`test:cluster vip: ${error.message}\n`);
  if (error.hint !== null) process.stderr.write(`${error.hint}\n`);
  process.exitCode = error.exitCode;
}
