/**
 * Measures pgquorum beside its rivals in one run:
 *
 *     pgbench ── product (PgBouncer, Pgpool-II, pgquorum, or nothing) ── PostgreSQL
 *
 * All products run all the time, idle but for the one whose turn it is. What is compared is the
 * processor time that a product's processes use per query: on a machine that others use as well,
 * it says more than queries per second.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parsePgbench, complaintOf } from "./pgbench-output.ts";
import { HELP, parseOptions, type BenchOptions } from "./options.ts";
import { pgbenchArguments, planRuns, type Cell, type ProductName, type Run } from "./plan.ts";
import { runToEnd, type Ended } from "./processes.ts";
import { DATABASE, type Product } from "./products.ts";
import { formatReport, type Report } from "./report.ts";
import { setUp, type Stage } from "./stage.ts";
import { summarize, type Sample } from "./summary.ts";

/** Connections and a busy machine come on top of the time that was asked for. */
const SURPLUS_MS = 20_000;
/** What closing sessions still costs belongs to the run; what comes later to nobody. */
const SETTLE_MS = 150;
/** Node compiles what runs often: so many of each kind of load are not counted. */
const WARM_UP_QUERIES = 12_000;
const WARM_UP_CONNECTIONS = 400;

/**
 * @param directory a new one below the project's root.
 * @returns the exit status.
 */
export async function main(words: readonly string[], directory: string): Promise<number> {
  const options = parseOptions(words);
  if (!options.ok) {
    process.stderr.write(`bench: ${options.error}\n`);
    return 2;
  }
  if (options.value === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  const abort = new AbortController();
  const interrupt = (): void => abort.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, interrupt);
  const undo: (() => Promise<void>)[] = [];
  try {
    const stage = await setUp(options.value, { directory, undo, say, abort: abort.signal });
    const report = await measure(options.value, stage, abort.signal);
    process.stdout.write(options.value.isJson ? formatJson(report) : formatReport(report));
    return isComplete(report) ? 0 : 1;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    process.stderr.write(`bench: ${abort.signal.aborted ? "interrupted" : why}\n`);
    return 1;
  } finally {
    say("cleaning up");
    for (const step of undo.reverse()) {
      await step().catch((error: unknown) => say(`could not clean up: ${String(error)}`));
    }
    for (const signal of signals) process.off(signal, interrupt);
  }
}

async function measure(options: BenchOptions, stage: Stage, abort: AbortSignal): Promise<Report> {
  const products = options.products.filter((name) => stage.products.has(name));
  const samples: Sample[] = [];
  for (const run of warmUps(planRuns(options.cells, products, 1))) {
    abort.throwIfAborted();
    say(`warm-up: ${run.product}, as in ${run.cell.name}`);
    const { reconnects, clients } = run.cell;
    const queries = reconnects ? WARM_UP_CONNECTIONS : WARM_UP_QUERIES;
    const queriesPerClient = Math.ceil(queries / clients);
    await pgbench(stage, run, pgbenchArguments(run.cell, { queriesPerClient }), 0, abort);
  }
  const runs = planRuns(options.cells, products, options.rounds);
  const loadBefore = stage.loadAverage();
  for (const [index, run] of runs.entries()) {
    abort.throwIfAborted();
    const sample = await measureOne(stage, run, options.seconds, abort);
    samples.push(sample);
    say(`${index + 1}/${runs.length} ${run.cell.name}, ${run.product}: ${inShort(sample)}`);
  }
  const facts = [
    ...stage.facts,
    `${options.rounds} rounds of ${options.seconds} s; load of the machine ${loadBefore} before and ${stage.loadAverage()} after`,
  ];
  const { cells } = options;
  return { cells, products: options.products, samples, missing: stage.missing, facts };
}

/** One run for each product and kind of load. */
function warmUps(runs: readonly Run[]): readonly Run[] {
  const kinds = new Map<string, Run>();
  for (const run of runs) {
    const kind = run.cell.reconnects ? "connect" : run.cell.protocol;
    kinds.set(`${run.product} ${kind}`, run);
  }
  return [...kinds.values()];
}

async function measureOne(
  stage: Stage,
  run: Run,
  seconds: number,
  abort: AbortSignal,
): Promise<Sample> {
  const { server } = productOf(stage, run.product);
  const ticksBefore = server?.cpuTicks() ?? 0;
  const ended = await pgbench(stage, run, pgbenchArguments(run.cell, { seconds }), seconds, abort);
  await sleep(SETTLE_MS);
  const ticks = (server?.cpuTicks() ?? 0) - ticksBefore;
  const { round, product } = run;
  const about = { round, cell: run.cell.name, product };
  const failed = (reason: string): Sample => ({ ...about, outcome: { kind: "failed", reason } });
  if (server !== null && !server.isAlive) return failed(`it ended: ${server.lastWords()}`);
  if (ended.isTimedOut) return failed("it hung: pgbench did not come to its end");
  if (ended.exitCode !== 0) return failed(complaintOf(ended.stderr));
  const result = parsePgbench(ended.stdout);
  if (!result.ok) return failed(result.error);
  const { queries, tps, latencyMs } = result.value;
  const cpuMicros = (ticks * 1_000_000) / stage.ticksPerSecond;
  const cpuMicrosPerQuery = server === null ? null : cpuMicros / queries;
  const pssMib = server?.pssMib() ?? null;
  const outcome = { kind: "measured", queries, tps, latencyMs, cpuMicrosPerQuery, pssMib } as const;
  return { ...about, outcome };
}

function pgbench(
  stage: Stage,
  run: Run,
  args: readonly string[],
  seconds: number,
  abort: AbortSignal,
): Promise<Ended> {
  const { port } = productOf(stage, run.product);
  const at = ["-h", "127.0.0.1", "-p", `${port}`, "-U", "postgres", DATABASE];
  return runToEnd([stage.pgbench, ...args, ...at], {
    timeoutMs: seconds * 1000 + SURPLUS_MS,
    abort,
    env: stage.clientEnvironment,
  });
}

function productOf(stage: Stage, name: ProductName): Product {
  const product = stage.products.get(name);
  if (product === undefined) throw new Error(`${name} does not run`);
  return product;
}

function inShort({ outcome }: Sample): string {
  if (outcome.kind === "failed") return `failed: ${outcome.reason}`;
  const cpu = outcome.cpuMicrosPerQuery;
  return `${outcome.tps.toFixed(0)} tps${cpu === null ? "" : `, ${cpu.toFixed(1)} µs a query`}`;
}

function formatJson(report: Report): string {
  const cells = report.cells.map((cell: Cell) => ({
    ...cell,
    products: Object.fromEntries(
      report.products
        .filter((product) => report.samples.some((one) => isOf(one, cell.name, product)))
        .map((product) => [product, summarize(report.samples, cell.name, product)]),
    ),
  }));
  const { facts, samples, missing } = report;
  return `${JSON.stringify({ facts, missing: Object.fromEntries(missing), cells, samples }, null, 2)}\n`;
}

function isOf(sample: Sample, cell: string, product: ProductName): boolean {
  return sample.cell === cell && sample.product === product;
}

/** A rival that is missing or fails is a remark; our own failure is a failure. */
function isComplete({ samples, missing }: Report): boolean {
  const isOurs = (product: ProductName): boolean => product.startsWith("pgquorum");
  if ([...missing.keys()].some(isOurs)) return false;
  return samples.every((one) => one.outcome.kind === "measured" || !isOurs(one.product));
}

function say(what: string): void {
  const seconds = Math.round(performance.now() / 1000);
  process.stderr.write(`[bench ${String(seconds).padStart(3)} s] ${what}\n`);
}
