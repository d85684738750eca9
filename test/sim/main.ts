/** Root of the simulator: `npm run sim -- --help`. */
import { canaryNames, plantedBy } from "./canaries/index.ts";
import { huntCanaries } from "./canaries/hunt.ts";
import { describeFault } from "./faults/index.ts";
import { HELP, parseOptions, type SimOptions } from "./options.ts";
import { runPortions, serveInThread, type Portion } from "./pool.ts";
import { formatTally } from "./report.ts";
import { runSeed, type RunOptions } from "./run-seed.ts";
import { shrink } from "./shrink.ts";
import { addTally, newTally, type Failure, type Tally } from "./tally.ts";

const PORTION_SEEDS = 20;
const FAILURES_SHOWN = 5;
const PROGRESS_EVERY_MS = 2000;

serveInThread();

/** @returns the exit status. */
export async function main(words: readonly string[], program: URL): Promise<number> {
  const parsed = parseOptions(words);
  if (!parsed.ok) return refuse(parsed.error);
  const options = parsed.value;
  if (options.wantsHelp) {
    process.stdout.write(HELP);
    return 0;
  }
  const { canary } = options;
  if (canary !== null && !canaryNames().includes(canary)) {
    return refuse(`there is no canary "${canary}"; there are ${canaryNames().join(", ")}`);
  }
  if (options.hasCanaries) return await huntCanaries(options, program);
  if (options.isTraced || options.kept !== null) return runOne(options);
  return await runMany(options, program);
}

function refuse(why: string): number {
  process.stderr.write(`sim: ${why}\nTry: npm run sim -- --help\n`);
  return 2;
}

function runOne(options: SimOptions): number {
  const lines: string[] = [];
  const flush = (): void => {
    if (lines.length > 0) process.stdout.write(`${lines.splice(0).join("\n")}\n`);
  };
  const trace = (line: string): void => {
    if (lines.push(line) >= 1000) flush();
  };
  const run = runSeed({
    ...runOptions(options, options.firstSeed),
    trace: options.isTraced ? trace : null,
  });
  flush();
  if (!options.isTraced) {
    const { breach, faults } = run;
    for (const fault of faults) process.stdout.write(`  ${describeFault(fault)}\n`);
    process.stdout.write(
      breach === null
        ? "all promises held\n"
        : `broken at ${breach.atMs.toFixed(1)} ms: ${breach.promise}: ${breach.detail}\n`,
    );
  }
  return run.breach === null ? 0 : 1;
}

async function runMany(options: SimOptions, program: URL): Promise<number> {
  const { firstSeed, seedCount, nodeCount, safetyMs, canary } = options;
  const startedMs = performance.now();
  const sum = newTally();
  let nextSeed = firstSeed;
  const endSeed = firstSeed + seedCount;
  const next = (): Portion | null => {
    if (nextSeed >= endSeed) return null;
    const first = nextSeed;
    const count = Math.min(PORTION_SEEDS, endSeed - first);
    nextSeed += count;
    return { first, count, nodeCount, safetyMs, canary, endsAtBreach: false };
  };
  let toldMs = startedMs;
  await runPortions(program, next, (_portion, tally) => {
    addTally(sum, tally);
    if (performance.now() - toldMs < PROGRESS_EVERY_MS) return;
    toldMs = performance.now();
    process.stderr.write(`${sum.seeds} of ${seedCount} seeds, ${sum.failures.length} broken\n`);
  });
  process.stdout.write(formatTally(sum, performance.now() - startedMs));
  showFailures(options, sum);
  return sum.failures.length === 0 ? 0 : 1;
}

function showFailures(options: SimOptions, { failures }: Tally): void {
  const bySeed = failures.toSorted((one, other) => one.seed - other.seed);
  for (const failure of bySeed.slice(0, FAILURES_SHOWN)) showFailure(options, failure);
  if (failures.length <= FAILURES_SHOWN) return;
  const seeds = bySeed.map(({ seed, promise }) => `${seed} (${promise})`);
  process.stdout.write(`\n${failures.length} seeds in all: ${seeds.slice(0, 100).join(", ")}\n`);
}

/** The line to run it again, and the shortest schedule found that does the same. */
function showFailure(options: SimOptions, { seed, promise, detail, atMs }: Failure): void {
  const asked = runOptions(options, seed);
  const words = [`--seed ${seed}`];
  if (options.nodeCount !== null) words.push(`--nodes ${options.nodeCount}`);
  if (options.safetyMs !== 30_000) words.push(`--minutes ${options.safetyMs / 60_000}`);
  if (options.canary !== null) words.push(`--canary ${options.canary}`);
  const line = `npm run sim -- ${words.join(" ")}`;
  process.stdout.write(`\nBROKEN: ${promise}, at ${atMs.toFixed(1)} ms: ${detail}\n  ${line}\n`);
  const short = shrink(asked, runSeed(asked));
  const numbers = short.faults.map(({ number }) => number).join(",");
  process.stdout.write(`  shortest: ${line} --faults ${numbers === "" ? "0" : numbers}\n`);
  for (const fault of short.faults) process.stdout.write(`    ${describeFault(fault)}\n`);
  if (short.breach !== null) process.stdout.write(`    ${short.breach.detail}\n`);
}

function runOptions(options: SimOptions, seed: number): RunOptions {
  const { nodeCount, safetyMs, kept, canary } = options;
  return {
    seed,
    nodeCount,
    safetyMs,
    kept: kept === null ? null : new Set(kept),
    planted: plantedBy(canary),
    trace: null,
  };
}
