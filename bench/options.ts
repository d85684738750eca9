/** The words after `npm run bench --`, as a value. Pure. */
import { fail, succeed, type Result } from "../src/base/index.ts";
import { CELLS, PRODUCTS, type Cell, type ProductName } from "./plan.ts";

export interface BenchOptions {
  readonly seconds: number;
  readonly rounds: number;
  readonly cells: readonly Cell[];
  readonly products: readonly ProductName[];
  /** A commit to measure beside the files as they are. */
  readonly against: string | null;
  readonly isJson: boolean;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

const SECONDS_MAX = 60;
const ROUNDS_MAX = 20;

export const HELP = `Usage: npm run bench -- [OPTIONS]

Measures pgquorum beside PgBouncer and Pgpool-II on this machine, in turns, and prints tables of
processor time per query, queries per second, and memory. Everything runs on the loopback, in a
temporary directory, and is removed again. Needs PostgreSQL's server programs; what else is missing
is left out and named.

  --seconds N        of each run (2; at most ${SECONDS_MAX})
  --rounds N         the medians are over so many (2; at most ${ROUNDS_MAX})
  --cells A,B,…      ${CELLS.map((cell) => cell.name).join(", ")}
                     ("all": every one; unless given: ${usual()})
  --products A,B,…   ${PRODUCTS.slice(0, 5).map(nameOf).join(", ")},
                     ${PRODUCTS.slice(5, -1).map(nameOf).join(", ")}
  --against COMMIT   measure the sources of that commit as well
  --json             print all figures as JSON instead

Exit status: 0 when every cell of pgquorum was measured, 1 when not, 2 for wrong words.
`;

function usual(): string {
  const left = CELLS.filter((cell) => !cell.isUsual).map((cell) => cell.name);
  return `all but ${left.join(", ")}`;
}

function nameOf(product: { readonly name: string }): string {
  return product.name;
}

/** "help", or the options. Errors: the wrong word and what was expected. */
export function parseOptions(words: readonly string[]): Result<BenchOptions | "help", string> {
  const options: Mutable<BenchOptions> = {
    seconds: 2,
    rounds: 2,
    cells: CELLS.filter((cell) => cell.isUsual),
    products: PRODUCTS.map(nameOf).filter((name): name is ProductName => name !== "against"),
    against: null,
    isJson: false,
  };
  const rest = words.flatMap((word) => splitAtEquals(word));
  while (rest.length > 0) {
    const word = rest.shift() ?? "";
    if (word === "--help" || word === "-h") return succeed("help");
    if (word === "--json") {
      options.isJson = true;
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

function splitAtEquals(word: string): string[] {
  const at = word.startsWith("--") ? word.indexOf("=") : -1;
  return at < 0 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}

type Change = Result<Partial<BenchOptions>, string>;

const VALUED: Readonly<Record<string, (value: string) => Change>> = {
  "--seconds": (value) => bounded(value, SECONDS_MAX, (seconds) => ({ seconds })),
  "--rounds": (value) => bounded(value, ROUNDS_MAX, (rounds) => ({ rounds })),
  "--cells"(value) {
    if (value === "all") return succeed({ cells: CELLS });
    const found = pick(value, CELLS);
    return found.ok ? succeed({ cells: found.value }) : found;
  },
  "--products"(value) {
    const known = PRODUCTS.filter((product) => product.name !== "against");
    const found = pick(value, known);
    return found.ok ? succeed({ products: found.value.map((one) => one.name) }) : found;
  },
  // Handed to git: it must not look like one of its options.
  "--against": (value) =>
    /^[\w./~^@{}][\w./~^@{}-]{0,199}$/.test(value)
      ? succeed({ against: value })
      : fail(`"${value}" is no name of a commit`),
};

function bounded(
  value: string,
  max: number,
  change: (value: number) => Partial<BenchOptions>,
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
  const strange = wanted.find((name) => !known.some((one) => one.name === name));
  if (strange !== undefined) {
    return fail(`"${strange}" is none of ${known.map((one) => one.name).join(", ")}`);
  }
  return succeed(known.filter((one) => wanted.includes(one.name)));
}
