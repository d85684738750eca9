/** The words after `npm run bench --`, as a value. Pure. */
import { fail, succeed, type Result } from "../src/base/index.ts";
import { CELLS, PRODUCTS, type Cell, type ProductName } from "./plan.ts";

export interface RelayOptions {
  readonly seconds: number;
  readonly rounds: number;
  readonly cells: readonly Cell[];
  readonly products: readonly ProductName[];
  /** A commit to measure beside the files as they are. */
  readonly against: string | null;
  readonly isJson: boolean;
  /** A first look: nothing is looked into that is dear. */
  readonly isQuick: boolean;
  /** Look closer into our worker where its processor time is above the target. */
  readonly explains: boolean;
  /** Of the file below bench/results/. */
  readonly name: string;
  /** A file of results to print instead of measuring. */
  readonly from: string | null;
  readonly writesDocs: boolean;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

const SECONDS_MAX = 60;
const ROUNDS_MAX = 20;

/** The results that the repository keeps, and docs/performance.md shows. */
export const KEPT_NAME = "relay";

export const HELP = `Usage: npm run bench -- relay [OPTIONS]

Measures pgquorum beside PgBouncer and Pgpool-II on this machine, in turns, and prints what was to
be reached, and tables of processor time per query, queries per second, latency and memory.
Everything runs on the loopback, in a temporary directory, and is removed again. Needs PostgreSQL's
server programs; what else is missing is left out and named.

  --seconds N        of each run (2; at most ${SECONDS_MAX})
  --rounds N         the medians are over so many (2; at most ${ROUNDS_MAX})
  --quick            one round of one second, and no table of where the time goes
  --cells A,B,…      all unless given; a name may end in * :
${listed(CELLS)}
  --products A,B,…   all unless given:
${listed(PRODUCTS.filter((product) => product.name !== "against"))}
  --against COMMIT   measure the sources of that commit as well
  --explain          where pgquorum uses more processor time than it should: what its worker calls
                     (strace) and which functions it is in (perf), at length
  --name NAME        the figures go to bench/results/NAME.json (last)
  --from FILE        print such a file instead of measuring
  --write-docs       put the tables into docs/performance.md; the name is then ${KEPT_NAME}
  --json             print all figures as JSON instead

Exit status: 0 when every cell of pgquorum was measured, 1 when not, 2 for wrong words.
`;

function listed(rows: readonly { readonly name: string; readonly about: string }[]): string {
  return rows.map(({ name, about }) => `      ${name.padEnd(16)} ${about}`).join("\n");
}

/** "help", or the options. Errors: the wrong word and what was expected. */
export function parseOptions(words: readonly string[]): Result<RelayOptions | "help", string> {
  const options: Mutable<RelayOptions> = {
    seconds: 2,
    rounds: 2,
    cells: CELLS,
    products: PRODUCTS.map((one) => one.name).filter((name) => name !== "against"),
    against: null,
    isJson: false,
    isQuick: false,
    explains: false,
    name: "last",
    from: null,
    writesDocs: false,
  };
  const rest = words.flatMap((word) => splitAtEquals(word));
  while (rest.length > 0) {
    const word = rest.shift() ?? "";
    if (word === "--help" || word === "-h") return succeed("help");
    const flag = FLAGS[word];
    if (flag !== undefined) {
      Object.assign(options, flag);
      continue;
    }
    const read = VALUED[word];
    if (read === undefined) return fail(`unknown option "${word}"; --help lists them`);
    const value = rest.shift();
    if (value === undefined || value === "") return fail(`${word} needs a value`);
    const change = read(value);
    if (!change.ok) return fail(`${word}: ${change.error}`);
    Object.assign(options, change.value);
  }
  const { products, against } = options;
  return succeed(against === null ? options : { ...options, products: [...products, "against"] });
}

const FLAGS: Readonly<Record<string, Partial<RelayOptions>>> = {
  "--json": { isJson: true },
  "--quick": { rounds: 1, seconds: 1, isQuick: true },
  "--explain": { explains: true },
  "--write-docs": { writesDocs: true, name: KEPT_NAME },
};

function splitAtEquals(word: string): string[] {
  const at = word.startsWith("--") ? word.indexOf("=") : -1;
  return at < 0 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}

type Change = Result<Partial<RelayOptions>, string>;

const VALUED: Readonly<Record<string, (value: string) => Change>> = {
  "--seconds": (value) => bounded(value, SECONDS_MAX, (seconds) => ({ seconds })),
  "--rounds": (value) => bounded(value, ROUNDS_MAX, (rounds) => ({ rounds })),
  "--cells"(value) {
    const found = pick(value, CELLS);
    return found.ok ? succeed({ cells: found.value }) : found;
  },
  "--products"(value) {
    const known = PRODUCTS.filter((product) => product.name !== "against");
    const found = pick(value, known);
    return found.ok ? succeed({ products: found.value.map((one) => one.name) }) : found;
  },
  "--name": (value) =>
    /^[a-z0-9][a-z0-9._-]{0,60}$/.test(value)
      ? succeed({ name: value })
      : fail(`"${value}" is no name of small letters, digits, dots and dashes`),
  "--from": (value) => succeed({ from: value }),
  // Handed to git: it must not look like one of its options.
  "--against": (value) =>
    /^[\w./~^@{}][\w./~^@{}-]{0,199}$/.test(value)
      ? succeed({ against: value })
      : fail(`"${value}" is no name of a commit`),
};

function bounded(
  value: string,
  max: number,
  change: (value: number) => Partial<RelayOptions>,
): Change {
  const wrong = fail(`"${value}" is not a whole number from 1 to ${max}`);
  if (!/^\d{1,4}$/.test(value)) return wrong;
  const number = Number(value);
  return number >= 1 && number <= max ? succeed(change(number)) : wrong;
}

/** In the order of the table, each once. */
function pick<T extends { readonly name: string }>(
  value: string,
  known: readonly T[],
): Result<readonly T[], string> {
  const wanted = value.split(",").map((name) => name.trim());
  const fits = (pattern: string, name: string): boolean =>
    pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
  const strange = wanted.find((name) => !known.some((one) => fits(name, one.name)));
  if (strange !== undefined) {
    return fail(`"${strange}" is none of ${known.map((one) => one.name).join(", ")}`);
  }
  return succeed(known.filter((one) => wanted.some((name) => fits(name, one.name))));
}
