/** The command line of `npm run sim`. */
import { parseArgs } from "node:util";
import { fail, succeed, type Ms, type Result } from "../../src/base/index.ts";

export interface SimOptions {
  readonly firstSeed: number;
  readonly seedCount: number;
  /** Null: the seed chooses. */
  readonly nodeCount: number | null;
  readonly safetyMs: Ms;
  readonly kept: readonly number[] | null;
  readonly isTraced: boolean;
  readonly hasCanaries: boolean;
  readonly canary: string | null;
  readonly wantsHelp: boolean;
}

export const HELP = `Runs whole clusters of the production cores in virtual time, under faults drawn from a seed.

  npm run sim -- [OPTION…]

  --seeds N        so many runs, with the seeds 1 to N, or from --seed on (1000)
  --seed N         this run only (with --seeds: the first)
  --nodes 3..7     nodes of each cluster; else the seed chooses
  --minutes M      simulated minutes in which everything may fail, each run (0.5)
  --faults 3,7     keep only these faults of the run
  --trace          print what happens, and nothing else, for one seed
  --canaries       plant one mistake after the other; each must be found within 500 seeds
  --canary NAME    plant this one in the runs that are asked for
  --help

Exit status: 0 all promises held (with --canaries: all mistakes were found), 1 one was broken (or a
mistake was missed), 2 wrong usage.
`;

const SEED_COUNT = 1000;
const MINUTES = 0.5;
const SEED_MAX = 2 ** 31 - 1;

/** Errors: what is wrong with an option, in a sentence. */
export function parseOptions(words: readonly string[]): Result<SimOptions, string> {
  const parsed = parseWords(words);
  if (!parsed.ok) return parsed;
  const { values } = parsed.value;
  const seed = whole("--seed", values.seed, 1, SEED_MAX);
  const seeds = whole("--seeds", values.seeds, 1, SEED_MAX);
  const nodes = whole("--nodes", values.nodes, 3, 7);
  if (!seed.ok) return seed;
  if (!seeds.ok) return seeds;
  if (!nodes.ok) return nodes;
  const minutes = Number(values.minutes ?? MINUTES);
  if (!(minutes > 0 && minutes <= 600)) return fail("--minutes takes a number above 0, up to 600");
  const kept = values.faults?.split(",").map(Number) ?? null;
  if (kept?.some((number) => !Number.isSafeInteger(number)) === true) {
    return fail("--faults takes numbers with commas between");
  }
  const seedCount = seeds.value ?? (seed.value === null ? SEED_COUNT : 1);
  if (values.trace === true && seedCount !== 1) return fail("--trace needs one --seed N");
  return succeed({
    firstSeed: seed.value ?? 1,
    seedCount,
    nodeCount: nodes.value,
    safetyMs: minutes * 60_000,
    kept,
    isTraced: values.trace === true,
    hasCanaries: values.canaries === true,
    canary: values.canary ?? null,
    wantsHelp: values.help === true,
  });
}

function parseWords(words: readonly string[]): Result<ReturnType<typeof parse>, string> {
  try {
    return succeed(parse(words));
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function parse(words: readonly string[]) {
  return parseArgs({
    args: [...words],
    options: {
      seed: { type: "string" },
      seeds: { type: "string" },
      nodes: { type: "string" },
      minutes: { type: "string" },
      faults: { type: "string" },
      trace: { type: "boolean" },
      canaries: { type: "boolean" },
      canary: { type: "string" },
      help: { type: "boolean" },
    },
  });
}

function whole(
  name: string,
  text: string | undefined,
  min: number,
  max: number,
): Result<number | null, string> {
  if (text === undefined) return succeed(null);
  const number = Number(text);
  return Number.isSafeInteger(number) && number >= min && number <= max
    ? succeed(number)
    : fail(`${name} takes a whole number from ${min} to ${max}, not "${text}"`);
}
