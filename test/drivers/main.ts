/** `npm run test:drivers`: prints a table for each place, what differs, and how many. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DRIVERS } from "./drivers.ts";
import { formatMatrix, formatTotals, type Cell } from "./matrix.ts";
import { HELP, parseOptions, type Options } from "./options.ts";
import { startStage, type PlaceName, type Stage } from "./places.ts";
import { formatFound, runCase, type Result } from "./suite.ts";

const words = process.argv.slice(2);
if (words.includes("--help") || words.includes("-h")) {
  process.stdout.write(HELP);
} else {
  const options = parseOptions(words);
  if (typeof options === "string") {
    process.stderr.write(`${options}\n${HELP}`);
    process.exitCode = 2;
  } else {
    process.exitCode = await main(options);
  }
}

async function main(options: Options): Promise<number> {
  const missing = new Map<string, string>();
  for (const name of options.drivers) {
    const reason = DRIVERS[name]?.missing() ?? null;
    if (reason !== null) missing.set(name, reason);
  }
  const drivers = options.drivers.filter((name) => !missing.has(name));
  const directory = await mkdtemp(join(tmpdir(), "pgquorum-drivers-"));
  const results: Result[] = [];
  try {
    const stage = await startStage(options);
    const stopped = stopOnSignal(stage);
    try {
      for (const driver of drivers) {
        const command = DRIVERS[driver]?.prepare(directory);
        if (command === undefined) continue;
        for (const place of options.places) {
          const started = performance.now();
          const result = await runCase(stage, { ...options, driver, command, place });
          const seconds = ((performance.now() - started) / 1000).toFixed(1);
          say(`${driver}, ${place}: ${formatTotals(result.cells)}, ${seconds} s`);
          for (const one of result.found) say(formatFound(one));
          if (options.verbose) say(formatOracle(result));
          results.push(result);
        }
      }
    } finally {
      stopped();
      await stage.stop();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  return report(options, drivers, results, missing);
}

/** Ctrl-C leaves no server behind. */
function stopOnSignal(stage: Stage): () => void {
  const stop = (): void => {
    void stage.stop().finally(() => process.exit(130));
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  return () => {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  };
}

function report(
  options: Options,
  drivers: readonly string[],
  results: readonly Result[],
  missing: ReadonlyMap<string, string>,
): number {
  for (const place of options.places) {
    const cells = cellsAt(results, place);
    if (cells.length === 0) continue;
    say(`\n${formatMatrix(`pool_mode = ${place}`, drivers, cells)}\n${formatTotals(cells)}`);
  }
  for (const [name, reason] of missing) say(`skipped: ${name}, because ${reason}`);
  const found = results.flatMap((result) => result.found);
  const isMissing = missing.size > 0 && !options.allowMissing;
  const isWrong = found.length > 0 || results.length === 0;
  say(`\n${drivers.length} drivers, ${found.length} differences, ${missing.size} skipped`);
  return isWrong || isMissing ? 1 : 0;
}

function cellsAt(results: readonly Result[], place: PlaceName): readonly Cell[] {
  return results.filter((result) => result.place === place).flatMap((result) => result.cells);
}

function formatOracle(result: Result): string {
  const blocks = [...result.oracle].map(([feature, lines]) => `## ${feature}\n${lines.join("\n")}`);
  return blocks.join("\n");
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
