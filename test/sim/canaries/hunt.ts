/** Whether the simulator has teeth: each planted mistake is found, and without one nothing is. */
import type { SimOptions } from "../options.ts";
import { runPortions, type Portion } from "../pool.ts";
import { addTally, newTally, type Failure, type Tally } from "../tally.ts";
import { CANARIES } from "./index.ts";

const SEEDS_MAX = 500;
const PORTION_SEEDS = 5;

interface Hunt {
  readonly name: string;
  readonly about: string;
  readonly found: Failure | null;
  readonly seedCount: number;
  readonly tookMs: number;
}

/** @returns 0 when all were found and the runs without a mistake were clean, else 1. */
export async function huntCanaries(options: SimOptions, program: URL): Promise<number> {
  const hunts: Hunt[] = [];
  for (const [name, { about }] of Object.entries(CANARIES)) {
    const startedMs = performance.now();
    const { found, seedCount } = await huntOne(options, program, name);
    const hunt = { name, about, found, seedCount, tookMs: performance.now() - startedMs };
    hunts.push(hunt);
    process.stderr.write(`${name}: ${found === null ? "NOT FOUND" : `seed ${found.seed}`}\n`);
  }
  const control = await runControl(options, program);
  process.stdout.write(formatHunts(hunts, control));
  const isAllFound = hunts.every(({ found }) => found !== null);
  return isAllFound && control.failures.length === 0 ? 0 : 1;
}

/** The first seed that finds it, whichever thread is ahead. */
async function huntOne(
  options: SimOptions,
  program: URL,
  canary: string,
): Promise<{ readonly found: Failure | null; readonly seedCount: number }> {
  let found: Failure | null = null;
  const { next, end } = portions(options, canary);
  await runPortions(program, next, (_portion, { failures }) => {
    const [first] = failures;
    if (first === undefined || (found !== null && found.seed < first.seed)) return;
    found = first;
    end();
  });
  const first = found as Failure | null;
  return { found: first, seedCount: first === null ? SEEDS_MAX : first.seed };
}

async function runControl(options: SimOptions, program: URL): Promise<Tally> {
  const sum = newTally();
  const { next } = portions(options, null);
  await runPortions(program, next, (_portion, tally) => addTally(sum, tally));
  return sum;
}

function portions(
  { nodeCount, safetyMs }: SimOptions,
  canary: string | null,
): { readonly next: () => Portion | null; readonly end: () => void } {
  let first = 1;
  return {
    next: () => {
      if (first > SEEDS_MAX) return null;
      const portion: Portion = {
        first,
        count: PORTION_SEEDS,
        nodeCount,
        safetyMs,
        canary,
        endsAtBreach: canary !== null,
      };
      first += PORTION_SEEDS;
      return portion;
    },
    end: () => {
      first = SEEDS_MAX + 1;
    },
  };
}

function formatHunts(hunts: readonly Hunt[], control: Tally): string {
  const rows = [
    ["canary", "seed", "tried", "s", "promise broken", "planted"],
    ...hunts.map(({ name, about, found, seedCount, tookMs }) => [
      name,
      found === null ? "-" : String(found.seed),
      String(seedCount),
      (tookMs / 1000).toFixed(1),
      found === null ? "NOT FOUND" : found.promise,
      about,
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 || column === 4 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  ")
      .trimEnd(),
  );
  const missed = hunts.filter(({ found }) => found === null).length;
  lines.push(
    "",
    `${hunts.length - missed} of ${hunts.length} planted mistakes found`,
    `without a mistake: ${control.failures.length} of ${control.seeds} seeds broken`,
  );
  for (const { seed, promise, detail } of control.failures.slice(0, 5)) {
    lines.push(`  npm run sim -- --seed ${seed}: ${promise}: ${detail}`);
  }
  return `${lines.join("\n")}\n`;
}
