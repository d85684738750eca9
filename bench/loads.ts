/** Puts a cell's load on a product and says what it cost. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { loginOf } from "./config-texts.ts";
import { Crowd } from "./crowd.ts";
import type { Answer, Order } from "./crowd-program.ts";
import {
  complaintOf,
  parseLatencies,
  parsePgbench,
  parseProgress,
  queriesBetween,
  type Progress,
} from "./pgbench-output.ts";
import { pgbenchArguments, SETTINGS, type Cell, type Load } from "./plan.ts";
import { runToEnd, type Ended, type Server } from "./processes.ts";
import { DATABASE, type Product } from "./products.ts";
import { percentile, type MeasuredFigure, type Outcome } from "./summary.ts";

export interface Tools {
  readonly pgbench: string;
  /** The bundled program of our own clients. */
  readonly crowdProgram: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly ticksPerSecond: number;
  /** For files of a run. */
  readonly directory: string;
  readonly abort: AbortSignal;
}

type Figures = Partial<Record<MeasuredFigure, number>>;

/** Connections, a first second that does not count, and a busy machine come on top of the time. */
const SURPLUS_MS = 30_000;
/** What closing sessions still costs must not be the next run's. */
const SETTLE_MS = 150;
/** Collecting garbage, closing what is left over: memory is looked at after it. */
const CALM_MS = 3000;
/** Node compiles what runs often, connections more slowly than queries because they are fewer. */
const WARM_UP_SECONDS = 2;
/** Few samples make a poor 99th percentile. */
const LATENCY_SECONDS_MIN = 4;
/** Less between the first look and the last says nothing. */
const WINDOW_MS_MIN = 500;
const SERVE_ALL_MS = 240_000;

const QUERY = "select abalance from pgbench_accounts where aid = 4711";
/** Rows of 190 bytes: see the stage, which makes them. */
export const ROWS_PER_MB = 5263;

const PLAIN = { kind: "pgbench", protocol: "simple", clients: 8, reconnects: false } as const;

/** A run that shall not count. Errors are of no interest: the runs that count have them, too. */
export async function warmUp(cell: Cell, product: Product, tools: Tools): Promise<void> {
  const load = cell.load.kind === "latency" ? PLAIN : cell.load;
  if (load.kind === "pgbench") {
    const seconds = WARM_UP_SECONDS + overheadSeconds(load, product.server === null);
    await pgbench(pgbenchArguments(load, seconds), { cell, product, tools });
  } else {
    await putLoad(cell, product, 1, tools);
  }
}

export async function putLoad(
  cell: Cell,
  product: Product,
  seconds: number,
  tools: Tools,
): Promise<Outcome> {
  const on: On = { cell, product, tools };
  const outcome = await run(cell.load, seconds, on);
  await sleep(SETTLE_MS);
  const { server } = product;
  if (server === null || server.isAlive || outcome.kind === "failed") return outcome;
  return failed(`it ended: ${server.lastWords()}`);
}

interface On {
  readonly cell: Cell;
  readonly product: Product;
  readonly tools: Tools;
}

function run(load: Load, seconds: number, on: On): Promise<Outcome> {
  switch (load.kind) {
    case "pgbench":
      return runPgbench(load, seconds, on);
    case "latency":
      return runLatency(load, Math.max(seconds, LATENCY_SECONDS_MIN), on);
    case "transfer":
      return withCrowd(on, (obey) => runTransfer(load, seconds, on, obey));
    case "idle":
      return withCrowd(on, (obey) => runIdle(load.clients, on, obey));
    case "crowd":
      return withCrowd(on, (obey) => runCrowd(load.clients, seconds, on, obey));
  }
}

/**
 * Between two of pgbench's lines of progress, when all clients are connected: opening hundreds of
 * sessions is another cell's figure.
 */
async function runPgbench(
  load: Extract<Load, { kind: "pgbench" }>,
  seconds: number,
  on: On,
): Promise<Outcome> {
  const { server } = on.product;
  const seen: { progress: Progress; cpuMicros: number; atMs: number }[] = [];
  const duration = seconds + overheadSeconds(load, server === null);
  const ended = await pgbench(pgbenchArguments(load, duration), on, (text) => {
    for (const line of text.split("\n")) {
      const progress = parseProgress(line);
      if (progress === null) continue;
      seen.push({ progress, cpuMicros: cpuMicrosOf(server, on.tools), atMs: performance.now() });
    }
  });
  const complaint = complaintAbout(ended);
  if (complaint !== null) return failed(complaint);
  const result = parsePgbench(ended.stdout);
  if (!result.ok) return failed(result.error);
  const [first, last] = [seen[0], seen.at(-1)];
  const queries = queriesBetween(seen.map((one) => one.progress));
  if (first === undefined || last === undefined || queries === 0) {
    return failed("pgbench did not tell its progress");
  }
  const tps = queries / (last.progress.seconds - first.progress.seconds);
  const figures: Figures = { tps, ...memoryOf(server) };
  if (last.atMs - first.atMs < WINDOW_MS_MIN) return failed("the machine is too busy to measure");
  // On a busy machine a line is read late: the time between two looks is what the clock says.
  const cpuMicrosPerMs = (last.cpuMicros - first.cpuMicros) / (last.atMs - first.atMs);
  if (server !== null) figures.cpuMicros = (cpuMicrosPerMs * 1000) / tps;
  return { kind: "measured", figures };
}

/** pgbench's clock runs while it connects, and its first second does not count. */
function overheadSeconds(
  { clients, reconnects }: Extract<Load, { kind: "pgbench" }>,
  isDirect: boolean,
): number {
  // A new process for every client takes PostgreSQL a while.
  const perSecond = isDirect ? 40 : 100;
  return reconnects ? 2 : 1 + Math.floor(clients / perSecond);
}

async function runLatency(
  { perSecond }: Extract<Load, { kind: "latency" }>,
  seconds: number,
  on: On,
): Promise<Outcome> {
  const directory = await mkdtemp(join(on.tools.directory, "latency-"));
  try {
    const how = ["-n", "-S", "-c", "1", "-R", `${perSecond}`, "-T", `${seconds}`];
    const log = ["-l", "--log-prefix", join(directory, "log")];
    const ended = await pgbench([...how, ...log], on);
    const complaint = complaintAbout(ended);
    if (complaint !== null) return failed(complaint);
    const files = await readdir(directory);
    const texts = await Promise.all(files.map((file) => readFile(join(directory, file), "utf8")));
    const times = parseLatencies(texts.join("\n"));
    const [p50Micros, p99Micros] = [percentile(times, 0.5), percentile(times, 0.99)];
    if (p50Micros === null || p99Micros === null) return failed("pgbench wrote no times");
    return { kind: "measured", figures: { p50Micros, p99Micros } };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

type Obey = (order: Order) => Promise<Answer>;

async function withCrowd(on: On, use: (obey: Obey) => Promise<Outcome>): Promise<Outcome> {
  const { tools, cell, product } = on;
  const { user } = loginOf(SETTINGS[cell.setting]);
  const crowd = new Crowd(tools.crowdProgram, { port: product.port, user, database: DATABASE });
  try {
    return await use((order) => crowd.obey(order, { timeoutMs: SERVE_ALL_MS, abort: tools.abort }));
  } catch (error) {
    tools.abort.throwIfAborted();
    return failed(error instanceof Error ? error.message : String(error));
  } finally {
    await crowd.end();
  }
}

async function runTransfer(
  { how, megabytes }: Extract<Load, { kind: "transfer" }>,
  seconds: number,
  { product: { server }, tools }: On,
  obey: Obey,
): Promise<Outcome> {
  const rows = `select * from bench_rows limit ${megabytes * ROWS_PER_MB}`;
  const sql = how === "copy" ? `copy (${rows}) to stdout` : rows;
  await obey({ order: "open", clients: 1, sql: "select 1" });
  const isPeakKnown = server?.forgetPeak() ?? false;
  const rssBefore = server?.rssMib() ?? null;
  const cpuBefore = cpuMicrosOf(server, tools);
  const answer = await obey({ order: "fetch", seconds, sql });
  const cpuMicros = cpuMicrosOf(server, tools) - cpuBefore;
  const peak = server?.peakRssMib() ?? null;
  if (answer.failure !== null) return failed(answer.failure);
  if (answer.bytes < megabytes * 900_000) return failed(`only ${answer.bytes} bytes came`);
  const figures: Figures = { mbPerSecond: answer.bytes / 1e6 / answer.seconds };
  if (server !== null) figures.cpuMsPerGb = cpuMicros / 1000 / (answer.bytes / 1e9);
  if (isPeakKnown && peak !== null && rssBefore !== null) {
    figures.peakGrowthMib = Math.max(0, peak - rssBefore);
  }
  return { kind: "measured", figures };
}

async function runIdle(clients: number, { product }: On, obey: Obey): Promise<Outcome> {
  const sizes: number[] = [];
  for (const count of [clients, 2 * clients]) {
    const answer = await obey({ order: "open", clients: count, sql: QUERY });
    if (answer.failure !== null) return failed(`${answer.failed} clients: ${answer.failure}`);
    await sleep(CALM_MS);
    const { pssMib } = memoryOf(product.server);
    if (pssMib === undefined) return failed("the kernel does not tell the memory");
    sizes.push(pssMib);
  }
  const [pssMib = 0, twice = 0] = sizes;
  const kibPerClient = ((twice - pssMib) * 1024) / clients;
  return { kind: "measured", figures: { pssMib, kibPerClient } };
}

async function runCrowd(
  clients: number,
  seconds: number,
  { product: { server }, tools }: On,
  obey: Obey,
): Promise<Outcome> {
  const opened = await obey({ order: "open", clients, sql: QUERY });
  if (opened.failure !== null) {
    return failed(`${opened.failed} of ${clients} were not let in: ${opened.failure}`);
  }
  const cpuBefore = cpuMicrosOf(server, tools);
  const asked = await obey({ order: "ask", seconds: Math.max(seconds, 5), sql: QUERY });
  const cpuMicros = cpuMicrosOf(server, tools) - cpuBefore;
  const memory = memoryOf(server);
  if (asked.failure !== null) return failed(`${asked.failed} failed: ${asked.failure}`);
  const figures: Figures = {
    clientsServed: asked.served,
    secondsToServeAll: opened.seconds,
    tps: asked.queries / asked.seconds,
    ...memory,
  };
  if (server !== null) figures.cpuMicros = cpuMicros / asked.queries;
  return { kind: "measured", figures };
}

function pgbench(
  args: readonly string[],
  { cell, product, tools }: On,
  onErrorText?: (text: string) => void,
): Promise<Ended> {
  const { user, password } = loginOf(SETTINGS[cell.setting]);
  const at = ["-h", "127.0.0.1", "-p", `${product.port}`, "-U", user, DATABASE];
  const seconds = Number(args[args.indexOf("-T") + 1] ?? 0) || 0;
  return runToEnd([tools.pgbench, ...args, ...at], {
    timeoutMs: seconds * 1000 + SURPLUS_MS,
    abort: tools.abort,
    env: { ...tools.environment, PGPASSWORD: password ?? undefined },
    ...(onErrorText === undefined ? {} : { onErrorText }),
  });
}

function complaintAbout(ended: Ended): string | null {
  if (ended.isTimedOut) return "it hung: pgbench did not come to its end";
  return ended.exitCode === 0 ? null : complaintOf(ended.stderr);
}

function cpuMicrosOf(server: Server | null, { ticksPerSecond }: Tools): number {
  return ((server?.cpuTicks() ?? 0) * 1_000_000) / ticksPerSecond;
}

function memoryOf(server: Server | null): { pssMib?: number } {
  const pssMib = server?.pssMib() ?? null;
  return pssMib === null ? {} : { pssMib };
}

function failed(reason: string): Outcome {
  return { kind: "failed", reason };
}
