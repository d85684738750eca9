/**
 * `npm run test:drivers -- pg_regress`: PostgreSQL's own regression tests, once directly and once
 * through a node in session mode with one server. What psql printed must be the same.
 *
 * Debian ships the program pg_regress with the server; the statements are in the source package.
 */
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { prepareRegress, type RegressFiles } from "./pg-regress-files.ts";
import { programPath, runAsPostgres, startPostgres } from "../support/postgres.ts";
import { startWorker } from "../support/worker-harness.ts";

const HELP = `npm run test:drivers -- pg_regress [--sources DIR] [--schedule FILE] [--direct-only]

Runs PostgreSQL's regression schedule directly and through a node, and compares what psql printed.

  --sources DIR     PostgreSQL's sources of the server's release, with src/test/regress in them;
                    without it Debian's source package is fetched
  --schedule FILE   another schedule than parallel_schedule
  --direct-only     only against PostgreSQL itself
`;
const RUN_MS = 20 * 60_000;

const words = process.argv.slice(2);
if (words.includes("--help") || words.includes("-h")) process.stdout.write(HELP);
else process.exitCode = await main();

function option(name: string): string | null {
  const at = words.indexOf(name);
  return at < 0 ? null : (words[at + 1] ?? null);
}

async function main(): Promise<number> {
  const files = await prepareRegress(option("--sources"));
  try {
    const direct = await results(files, "direct", false);
    say(`directly: ${direct.summary}`);
    if (words.includes("--direct-only")) return 0;
    const through = await results(files, "through", true);
    say(`through a node: ${through.summary}`);
    return compare(direct, through);
  } finally {
    await files.remove();
  }
}

interface Results {
  readonly summary: string;
  /** What psql printed, by the test's name. */
  readonly outputs: ReadonlyMap<string, string>;
}

async function results(files: RegressFiles, name: string, isThrough: boolean): Promise<Results> {
  const postgres = await startPostgres({ standbys: 0 });
  const config = ["num_init_children = 100", "load_balance_mode = off"];
  const node = isThrough ? await startWorker({ postgres, config }) : null;
  try {
    await postgres.query(0, "alter system set max_prepared_transactions = 2");
    await postgres.stopServer(0);
    await postgres.startServer(0);
    const port = node?.port ?? postgres.servers[0]?.port ?? 0;
    const output = join(files.directory, name);
    await mkdir(output);
    await files.give(output);
    const schedule = option("--schedule") ?? join(files.sources, "parallel_schedule");
    const at = ["--host", "127.0.0.1", "--port", `${port}`, "--user", "postgres"];
    const where = ["--inputdir", files.sources, "--outputdir", output];
    const how = ["--bindir", programPath(""), "--dlpath", files.libraries];
    const all = [...at, ...where, ...how, "--max-concurrent-tests", "20", "--schedule", schedule];
    const options = { timeoutMs: RUN_MS, env: { TERM: "dumb" } };
    const printed = await runAsPostgres(files.program, all, options).then(
      ({ stdout }) => stdout,
      // Its exit status says that a test failed; which one, it prints.
      (error: { stdout?: string; message: string }) => error.stdout ?? error.message,
    );
    const summary = /^ (.* tests? .*)\.\s*$/m.exec(printed)?.[1] ?? printed.slice(-2000);
    return { summary, outputs: await read(join(output, "results")) };
  } finally {
    await node?.stop();
    await postgres.stop();
  }
}

async function read(directory: string): Promise<Map<string, string>> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(".out"));
  const outputs = new Map<string, string>();
  for (const name of names.toSorted()) {
    outputs.set(name.slice(0, -4), await readFile(join(directory, name), "utf8"));
  }
  return outputs;
}

function compare(direct: Results, through: Results): number {
  let differing = 0;
  for (const [name, expected] of direct.outputs) {
    const actual = through.outputs.get(name);
    if (actual === expected) continue;
    differing += 1;
    say(`DIFFERS ${name}: ${firstDifference(expected, actual)}`);
  }
  say(`${direct.outputs.size} tests, ${differing} differ`);
  return differing > 0 || direct.outputs.size === 0 ? 1 : 0;
}

function firstDifference(expected: string, actual: string | undefined): string {
  if (actual === undefined) return "not run";
  const wanted = expected.split("\n");
  const found = actual.split("\n");
  const at = wanted.findIndex((line, index) => line !== found[index]);
  const line = at < 0 ? wanted.length : at;
  const before = wanted.slice(Math.max(0, line - 4), line).map((text) => `    ${text}\n`);
  return `line ${line + 1}\n${before.join("")}  - ${wanted[line]}\n  + ${found[line]}`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
