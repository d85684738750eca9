/**
 * Measures pgquorum beside its rivals in one run:
 *
 *     pgbench, or clients of our own ── product (PgBouncer, Pgpool-II, pgquorum, nothing) ── PostgreSQL
 *
 * The cells with the same setting are an act: its products all run, idle but for the one whose turn
 * it is. What is compared first is the processor time that a product's processes use per query: on
 * a machine that others use as well, it says more than queries per second.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { putTables } from "./docs-table.ts";
import { explain, hasPerf, measureShares } from "./explain.ts";
import { putLoad, warmUp } from "./loads.ts";
import { HELP, parseOptions, type RelayOptions } from "./options.ts";
import { planActs, type Act } from "./plan.ts";
import { costlyCells, formatReport, type Report } from "./report.ts";
import { formatResults, parseResults } from "./results.ts";
import type { SharesOfCell } from "./shares.ts";
import { Stage, type Company } from "./stage.ts";
import type { Sample } from "./summary.ts";

export interface Places {
  readonly root: string;
  /** A new one below the root; the bundled programs are in it. */
  readonly directory: string;
}

/** @returns the exit status. */
export async function main(words: readonly string[], places: Places): Promise<number> {
  const options = parseOptions(words);
  if (!options.ok) {
    process.stderr.write(`bench: ${options.error}\n`);
    return 2;
  }
  if (options.value === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  const { from } = options.value;
  return from === null
    ? measureAll(options.value, places)
    : printResults(options.value, from, places);
}

async function printResults(options: RelayOptions, from: string, places: Places): Promise<number> {
  const text = await readFile(from, "utf8").catch((error: unknown) => String(error));
  const report = parseResults(text);
  if (!report.ok) {
    process.stderr.write(`bench: ${from}: ${report.error}\n`);
    return 2;
  }
  await publish(options, report.value, places);
  return 0;
}

async function measureAll(options: RelayOptions, places: Places): Promise<number> {
  const abort = new AbortController();
  const interrupt = (): void => abort.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, interrupt);
  const undo: (() => Promise<void>)[] = [];
  try {
    const stage = await Stage.setUp(options, {
      directory: places.directory,
      crowdProgram: join(places.directory, "crowd-program.mjs"),
      undo,
      say,
      abort: abort.signal,
    });
    const measured = await measure(options, stage, abort.signal);
    const report = options.isQuick ? measured : await withShares(measured, stage);
    await publish(options, report, places);
    if (options.explains) await explainCostly(report, stage);
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

async function measure(options: RelayOptions, stage: Stage, abort: AbortSignal): Promise<Report> {
  const { cells, products, rounds, seconds } = options;
  const loadBefore = stage.loadAverage();
  const samples: Sample[] = [];
  for (const act of planActs(cells, products, rounds)) {
    abort.throwIfAborted();
    const company = await stage.open(act.setting, act.products);
    samples.push(...(await play(act, company, { stage, seconds, abort })));
    await company.close();
  }
  const load = `load of the machine ${loadBefore} before and ${stage.loadAverage()} after`;
  const facts = [...stage.facts, `${rounds} rounds of ${seconds} s; ${load}`];
  return { cells, products, samples, shares: [], facts };
}

async function play(
  { warmUps, runs, setting }: Act,
  { products, missing }: Company,
  o: { readonly stage: Stage; readonly seconds: number; readonly abort: AbortSignal },
): Promise<readonly Sample[]> {
  const { tools } = o.stage;
  for (const { product, cell } of warmUps) {
    o.abort.throwIfAborted();
    const one = products.get(product);
    if (one === undefined) continue;
    say(`warm-up: ${product}, as in ${cell.name}`);
    await warmUp(cell, one, tools);
  }
  const samples: Sample[] = [];
  for (const [index, { round, cell, product }] of runs.entries()) {
    o.abort.throwIfAborted();
    const one = products.get(product);
    const reason = missing.get(product) ?? "it does not run";
    const outcome =
      one === undefined
        ? ({ kind: "failed", reason } as const)
        : await putLoad(cell, one, o.seconds, tools);
    const sample: Sample = { round, cell: cell.name, product, outcome };
    samples.push(sample);
    if (one !== undefined) {
      say(`${setting} ${index + 1}/${runs.length} ${cell.name}, ${product}: ${inShort(sample)}`);
    }
  }
  return samples;
}

function inShort({ outcome }: Sample): string {
  if (outcome.kind === "failed") return `failed: ${outcome.reason}`;
  const figures = Object.entries(outcome.figures);
  return figures.map(([name, value]) => `${name} ${value.toFixed(1)}`).join(", ");
}

async function publish(options: RelayOptions, report: Report, { root }: Places): Promise<void> {
  const results = formatResults(report);
  process.stdout.write(options.isJson ? results : formatReport(report));
  if (options.from === null || options.writesDocs) {
    const file = join(root, "bench/results", `${options.name}.json`);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, results);
    say(`wrote ${file}`);
  }
  if (!options.writesDocs) return;
  const page = join(root, "docs/performance.md");
  const text = putTables(await readFile(page, "utf8"), formatReport(report));
  if (!text.ok) throw new Error(`${page}: ${text.error}`);
  await writeFile(page, text.value);
  say(`wrote ${page}`);
}

async function withShares(report: Report, stage: Stage): Promise<Report> {
  const costly = costlyCells(report);
  if (costly.length > 0 && !hasPerf()) {
    say('where the time goes is not looked into: "apt-get install linux-perf" brings perf');
    return report;
  }
  const shares: SharesOfCell[] = [];
  for (const cell of costly) {
    say(`looking into ${cell.name}`);
    const found = await measureShares(cell, stage);
    if (found.length === 0) say("perf saw nothing there: it may need root");
    shares.push(...found);
  }
  return { ...report, shares };
}

async function explainCostly(report: Report, stage: Stage): Promise<void> {
  for (const cell of costlyCells(report)) {
    say(`looking closer into ${cell.name}`);
    process.stdout.write(`\n${await explain(cell, stage)}\n`);
  }
}

/** A rival that is missing or fails is a remark; our own failure is a failure. */
function isComplete({ samples }: Report): boolean {
  return samples.every(
    ({ product, outcome }) => outcome.kind === "measured" || product !== "pgquorum",
  );
}

function say(what: string): void {
  const seconds = Math.round(performance.now() / 1000);
  process.stderr.write(`[bench ${String(seconds).padStart(3)} s] ${what}\n`);
}
