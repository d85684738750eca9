/** The command line of `npm run fuzz`. */
import { parseArgs } from "node:util";
import { fail, succeed, type Result } from "../../src/base/index.ts";

export interface FuzzOptions {
  readonly seconds: number;
  /** Null: drawn from the clock. */
  readonly seed: number | null;
  /** Null: all of them. */
  readonly targets: readonly string[] | null;
  readonly replay: string | null;
  readonly isLive: boolean;
  readonly wantsHelp: boolean;
}

export const HELP = `Feeds PostgreSQL's protocol, valid, damaged and malicious, to the cores of the proxy.

  npm run fuzz -- postgres [OPTION…]

  --seconds N      how long (30)
  --seed N         the same scripts as in an earlier run; printed at the start of each
  --target A,B     these targets only
  --replay FILE    run a script that was written down, nothing else
  --live           against a real worker process, PostgreSQL and a malicious server instead
  --help

A script that breaks a promise is made small and written to test/fuzz/corpus/postgres; those are run
again by the unit tests for ever.

Exit status: 0 nothing found, 1 a crash, a hang, unbounded memory or a wrong answer, 2 wrong usage.

Targets:
`;

const SECONDS = 30;
const SECONDS_MAX = 86_400;

/** Errors: what is wrong with an option, in a sentence. */
export function parseOptions(words: readonly string[]): Result<FuzzOptions, string> {
  const parsed = parseWords(words);
  if (!parsed.ok) return parsed;
  const { values, positionals } = parsed.value;
  const wantsHelp = values.help === true;
  if (!wantsHelp && (positionals.length !== 1 || positionals[0] !== "postgres")) {
    return fail("say what to fuzz: postgres");
  }
  const seconds = Number(values.seconds ?? SECONDS);
  if (!(seconds > 0 && seconds <= SECONDS_MAX)) {
    return fail(`--seconds takes a number above 0, up to ${SECONDS_MAX}`);
  }
  const seed = values.seed === undefined ? null : Number(values.seed);
  if (seed !== null && !(Number.isSafeInteger(seed) && seed >= 0 && seed < 2 ** 32)) {
    return fail(`--seed takes a whole number from 0 to ${2 ** 32 - 1}, not "${values.seed}"`);
  }
  return succeed({
    seconds,
    seed,
    targets: values.target?.split(",") ?? null,
    replay: values.replay ?? null,
    isLive: values.live === true,
    wantsHelp,
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
    allowPositionals: true,
    options: {
      seconds: { type: "string" },
      seed: { type: "string" },
      target: { type: "string" },
      replay: { type: "string" },
      live: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
}
