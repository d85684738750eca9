/**
 * What it costs to find out where a statement goes: in this process for the classifier and the
 * rules, and as a cell of the relay bench for a worker that spreads reads. Prints figures and
 * verdicts.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { loadModule, parseSync } from "libpg-query";
import { createClassifier, type Classifier } from "../src/proxy/core/sql/index.ts";

const HELP = `Usage: npm run bench -- routing [--no-relay]

Prints what classification costs (seen before, by the lexer, by PostgreSQL's grammar, at worst), and
what spreading reads costs a worker beside the same relay without it.

  --no-relay   leave the relay out, which takes a minute and PostgreSQL's server programs

Exit status: 0 when every target is met, 1 when not, 2 for wrong words.
`;

/** As the worker has it. */
const PARSE_BYTES_MAX = 10_240;
const ROUNDS = 7;

interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** Null: shown for information. */
  readonly limit: { readonly bound: "at most" | "at least"; readonly value: number } | null;
}

// pgbench's own script and TPC-C's, as drivers send them.
const MIX: readonly string[] = [
  "BEGIN;",
  "UPDATE pgbench_accounts SET abalance = abalance + 17 WHERE aid = 4711;",
  "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;",
  "UPDATE pgbench_tellers SET tbalance = tbalance + 17 WHERE tid = 3;",
  "UPDATE pgbench_branches SET bbalance = bbalance + 17 WHERE bid = 1;",
  "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (3, 1, 4711, 17, CURRENT_TIMESTAMP);",
  "END;",
  "BEGIN ISOLATION LEVEL READ COMMITTED",
  "UPDATE district SET d_next_o_id = d_next_o_id + 1 WHERE d_w_id = 1 AND d_id = 2",
  "INSERT INTO orders (o_id, o_d_id, o_w_id, o_c_id, o_entry_d, o_ol_cnt, o_all_local) VALUES (1, 2, 1, 5, now(), 9, 1)",
  "INSERT INTO new_order (no_o_id, no_d_id, no_w_id) VALUES (1, 2, 1)",
  "UPDATE stock SET s_quantity = 91, s_ytd = s_ytd + 5 WHERE s_i_id = 77 AND s_w_id = 1",
  "INSERT INTO order_line (ol_o_id, ol_d_id, ol_w_id, ol_number, ol_i_id) VALUES (1, 2, 1, 1, 77)",
  "UPDATE customer SET c_balance = c_balance - 10.5 WHERE c_w_id = 1 AND c_d_id = 2 AND c_id = 5",
  "INSERT INTO history (h_c_d_id, h_c_w_id, h_c_id, h_amount) VALUES (2, 1, 5, 10.5)",
  "DELETE FROM new_order WHERE no_o_id = 1 AND no_d_id = 2 AND no_w_id = 1",
  "UPDATE orders SET o_carrier_id = 7 WHERE o_id = 1 AND o_d_id = 2 AND o_w_id = 1",
  "SELECT c_discount, c_last, c_credit FROM customer WHERE c_w_id = 1 AND c_d_id = 2 AND c_id = 5",
  "COMMIT",
  "SET application_name = 'bench'",
];

const TYPICAL: readonly string[] = [
  "SELECT abalance FROM pgbench_accounts WHERE aid = 4711",
  "SELECT c_discount, c_last, c_credit FROM customer WHERE c_w_id = 1 AND c_d_id = 2 AND c_id = 5",
  "SELECT u.id, u.name, count(*) FROM users u JOIN orders o ON o.user_id = u.id WHERE u.active AND o.total > 10 GROUP BY u.id, u.name ORDER BY 3 DESC LIMIT 20",
  "WITH recent AS (SELECT * FROM events WHERE at > now() - interval '1 day') SELECT kind, count(*) FROM recent GROUP BY kind",
];

/** @returns the exit status. */
export async function main(words: readonly string[], root: string): Promise<number> {
  const wrong = words.find((word) => !["--no-relay", "--help", "-h"].includes(word));
  if (wrong !== undefined) {
    process.stderr.write(`bench: unknown option "${wrong}"; --help lists them\n`);
    return 2;
  }
  if (words.includes("--help") || words.includes("-h")) {
    process.stdout.write(HELP);
    return 0;
  }
  // As in a worker.
  setFlagsFromString("--no-wasm-tier-up");
  setFlagsFromString("--no-wasm-dynamic-tiering");
  await loadModule();
  const figures = [cachedCost(), lexerShare(), uncachedCost(), worstCost(), crowdCost()];
  if (!words.includes("--no-relay")) figures.push(splitCost(root));
  return print(figures);
}

function makeClassifier(entriesMax = 10_000): Classifier {
  return createClassifier({
    parse: parseSync,
    cacheEntriesMax: entriesMax,
    parseBytesMax: PARSE_BYTES_MAX,
    hashSeed: 1,
  });
}

/** Processor time in microseconds: other programs on the machine do not count. */
function cpuMicros(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function best(measure: () => number): number {
  return Math.min(...Array.from({ length: ROUNDS }, measure));
}

function cachedCost(): Figure {
  const classifier = makeClassifier();
  const text = Buffer.from("SELECT abalance FROM pgbench_accounts WHERE aid = 4711");
  const times = 300_000;
  const cost = best(() =>
    cpuMicros(() => {
      for (let i = 0; i < times; i += 1) classifier.classifyBytes(text, 0, text.length);
    }),
  );
  const limit = { bound: "at most", value: 0.3 } as const;
  return { what: "a statement seen before", value: cost / times, unit: "µs", limit };
}

function lexerShare(): Figure {
  const classifier = makeClassifier();
  const byLexer = MIX.filter((text) => classifier.classify(text).decidedBy === "lexer");
  const limit = { bound: "at least", value: 80 } as const;
  const value = (100 * byLexer.length) / MIX.length;
  return {
    what: "decided without the grammar, of a pgbench and TPC-C mix",
    value,
    unit: "%",
    limit,
  };
}

/** A name that was not there yet makes a statement new. */
function uncachedCost(): Figure {
  const times = 400;
  let count = 0;
  const cost = best(() => {
    const classifier = makeClassifier();
    return cpuMicros(() => {
      for (let i = 0; i < times; i += 1) {
        const text = TYPICAL[i % TYPICAL.length] as string;
        count += 1;
        classifier.classify(text.replace("SELECT ", `SELECT x${count}, `));
      }
    });
  });
  const limit = { bound: "at most", value: 150 } as const;
  return { what: "a typical statement never seen before", value: cost / times, unit: "µs", limit };
}

/** Those that may take longest, at the size up to which they are parsed, and beyond. */
function hostileTexts(tag: number): string[] {
  const repeat = (piece: string, bytes: number): string =>
    piece.repeat(Math.floor(bytes / piece.length));
  const room = PARSE_BYTES_MAX - 200;
  return [
    `select x${tag}, ${repeat("1,", room)}1`,
    `select ${repeat("a+1,", room)}x${tag}`,
    `select ${repeat("f(a),", room)}x${tag}`,
    `select 1 where x${tag} = 0 ${repeat(" or a=1", room)}`,
    `select x${tag}, ${"(".repeat(20_000)}1${")".repeat(20_000)}`,
    `select x${tag}, ${"(".repeat(8000)}1${")".repeat(8000)}`,
    `select x${tag}, '${"x".repeat(10_000_000)}'`,
    `insert into x${tag} values ${repeat("(1,''),", 10_000_000)}(1,'')`,
    `select x${tag} ${repeat("/*", 250_000)}`,
    `select x${tag}, '${"\0".repeat(10_000)}'`,
    `select x${tag}, ${repeat('"', 200_000)}`,
    `select x${tag} ${repeat(";", 200_000)}`,
  ];
}

function worstCost(): Figure {
  const classifier = makeClassifier();
  let tag = 0;
  // Once before: a worker has met long texts as well when it is hurt by one.
  const worst = hostileTexts(0).map((_, index) =>
    best(() => {
      tag += 1;
      const bytes = Buffer.from(hostileTexts(tag)[index] as string);
      return cpuMicros(() => void classifier.classifyBytes(bytes, 0, bytes.length));
    }),
  );
  const limit = { bound: "at most", value: 20 } as const;
  return { what: "the worst statement", value: Math.max(...worst) / 1000, unit: "ms", limit };
}

/** 100 000 different ones: the cache has its bound. */
function crowdCost(): Figure {
  const classifier = makeClassifier();
  const times = 100_000;
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < times; i += 1) classifier.classify(`update t${i} set a = 1`);
  const grown = Math.max(0, process.memoryUsage().heapUsed - before) / 2 ** 20;
  const limit = { bound: "at most", value: 64 } as const;
  return { what: "memory after 100 000 different statements", value: grown, unit: "MiB", limit };
}

/** Processor time for a query with reads spread over three servers, to that with one. */
function splitCost(root: string): Figure {
  const cells = "simple-32,split-simple";
  const words = [
    "relay",
    "--cells",
    cells,
    "--products",
    "pgquorum",
    "--name",
    "routing",
    "--json",
  ];
  const { stdout } = spawnSync(process.execPath, [join(root, "bench/run.mjs"), ...words], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 64 * 2 ** 20,
  });
  const value = ratioIn(stdout);
  const limit = { bound: "at most", value: 1.2 } as const;
  const what = "processor time for a query with reads spread, to that without";
  return { what, value, unit: "times", limit };
}

function ratioIn(text: string): number {
  interface Medians {
    readonly medians: Readonly<
      Record<string, { readonly pgquorum?: { readonly cpuMicros?: unknown } } | undefined>
    >;
  }
  const start = text.indexOf("{");
  if (start < 0) return Number.NaN;
  const { medians } = JSON.parse(text.slice(start)) as Medians;
  const cost = (cell: string): number => {
    const found = medians[cell]?.pgquorum?.cpuMicros;
    if (typeof found === "number") return found;
    const { median } = (found ?? {}) as { median?: number };
    return median ?? Number.NaN;
  };
  return cost("split-simple") / cost("simple-32");
}

function print(figures: readonly Figure[]): number {
  let isMet = true;
  for (const { what, value, unit, limit } of figures) {
    const isGood =
      limit === null || (limit.bound === "at most" ? value <= limit.value : value >= limit.value);
    isMet &&= isGood;
    const wanted = limit === null ? "" : `${limit.bound} ${limit.value}`;
    const shown = Number.isNaN(value) ? "not measured" : `${value.toFixed(2)} ${unit}`;
    const verdict = isGood ? "met" : "MISSED";
    process.stdout.write(
      `${what.padEnd(66)} ${shown.padStart(14)}   ${wanted.padEnd(12)} ${verdict}\n`,
    );
  }
  return isMet ? 0 : 1;
}
