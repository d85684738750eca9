/** Everything that must run before something can be measured, and how it goes away again. */
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { cpus, loadavg, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { buildPrograms } from "../test/support/programs.ts";
import { ThrowawayPostgres } from "../test/support/throwaway-postgres.ts";
import type { BenchOptions } from "./options.ts";
import { PRODUCTS, type ProductName } from "./plan.ts";
import { runToEnd, type Account } from "./processes.ts";
import { DATABASE, RIVALS, startProduct, type Product, type Surroundings } from "./products.ts";

export interface Stage {
  readonly products: ReadonlyMap<ProductName, Product>;
  /** Those that could not be started, and why. */
  readonly missing: ReadonlyMap<ProductName, string>;
  /** Machine and versions. */
  readonly facts: readonly string[];
  readonly pgbench: string;
  readonly clientEnvironment: Readonly<Record<string, string | undefined>>;
  readonly ticksPerSecond: number;
  loadAverage(): string;
}

export interface SetUp {
  /** A new one below the project's root. */
  readonly directory: string;
  /** Gets what must be done in the end, in reverse order, also when `setUp` fails. */
  readonly undo: (() => Promise<void>)[];
  readonly say: (what: string) => void;
  readonly abort: AbortSignal;
}

const POSTGRES_BIN = process.env["PGQUORUM_TEST_PG_BIN"] ?? "/usr/lib/postgresql/15/bin";
/** Each product keeps its connections open while others are measured. */
const POSTGRES_SETTINGS = [
  "max_connections = 400",
  "shared_buffers = 64MB",
  "max_wal_senders = 5",
  "log_min_messages = fatal",
];
const STEP_TIMEOUT_MS = 120_000;

/** Errors: what is missing without which nothing can be measured. */
export async function setUp(options: BenchOptions, o: SetUp): Promise<Stage> {
  const pgbench = join(POSTGRES_BIN, "pgbench");
  if (!existsSync(pgbench)) {
    throw new Error(
      `${pgbench} is missing: "apt-get install postgresql-15" brings it, or set PGQUORUM_TEST_PG_BIN`,
    );
  }
  const programs = await buildNodes(options.against, o);
  o.abort.throwIfAborted();
  const account = await unprivileged(o);
  const directory = await mkdtemp(join(tmpdir(), "pgquorum-bench-"));
  o.undo.push(() => rm(directory, { recursive: true, force: true }));
  await chmod(directory, 0o755);
  const { primary, standby } = await startServers(options, o);
  const primaryPort = primary.port;
  const clientEnvironment = withoutPostgresVariables();
  const at = ["-h", "127.0.0.1", "-p", `${primaryPort}`, "-U", "postgres", DATABASE];
  await primary.sql(`create database ${DATABASE}`);
  await must([pgbench, "-i", "-q", "-s", "1", ...at], o, clientEnvironment);
  const products = new Map<ProductName, Product>();
  const missing = new Map<ProductName, string>();
  const around: Surroundings = {
    directory,
    account,
    primaryPort,
    standbyPort: standby?.port ?? null,
    programs,
    started: (server) => void o.undo.push(() => server.stop()),
  };
  for (const name of options.products) {
    o.abort.throwIfAborted();
    o.say(`starting ${name}`);
    const started = await startProduct(name, around);
    if (started.ok) products.set(name, started.value);
    else missing.set(name, started.error);
    if (!started.ok) o.say(`${name}: ${started.error}`);
  }
  return {
    products,
    missing,
    facts: [...machineFacts(), await versions(options, o)],
    pgbench,
    clientEnvironment,
    ticksPerSecond: Number((await must(["getconf", "CLK_TCK"], o)).trim()),
    loadAverage: () => (loadavg()[0] ?? 0).toFixed(1),
  };
}

/** Own builds: nobody else's build is disturbed, nor disturbs. */
async function buildNodes(against: string | null, o: SetUp): Promise<Surroundings["programs"]> {
  o.say("building pgquorum");
  const own = await buildNode(join(o.directory, "own"), "");
  if (against === null) return { own, against: null };
  o.abort.throwIfAborted();
  o.say(`building pgquorum of ${against}`);
  const sources = join(o.directory, "sources");
  const archive = `${sources}.tar`;
  await mkdir(sources);
  const cwd = join(o.directory, "../..");
  await must(["git", "archive", "--output", archive, against, "src"], o, process.env, cwd);
  await must(["tar", "-xf", archive, "-C", sources], o);
  return { own, against: await buildNode(join(o.directory, "against"), `${sources}/`) };
}

/** @returns the program that starts a node. */
async function buildNode(directory: string, sources: string): Promise<string> {
  const entries = {
    pgpool: `${sources}src/cli/pgpool.ts`,
    worker: `${sources}src/proxy/worker.ts`,
    watchdog: `${sources}src/watchdog/process.ts`,
  };
  await mkdir(directory);
  await buildPrograms(directory, entries, ["pgpool"]);
  return join(directory, "bin/pgpool");
}

async function startServers(
  options: BenchOptions,
  o: SetUp,
): Promise<{ readonly primary: ThrowawayPostgres; readonly standby: ThrowawayPostgres | null }> {
  o.say("starting PostgreSQL");
  const primary = await ThrowawayPostgres.start({ settings: POSTGRES_SETTINGS });
  o.undo.push(() => primary.remove());
  const needsStandby = PRODUCTS.some((one) => one.splits && options.products.includes(one.name));
  if (!needsStandby) return { primary, standby: null };
  o.abort.throwIfAborted();
  const standby = await ThrowawayPostgres.start({
    settings: POSTGRES_SETTINGS,
    standbyOf: primary,
  });
  o.undo.push(() => standby.remove());
  return { primary, standby };
}

/** PostgreSQL's own user, if we are root: PgBouncer and Pgpool-II should not be. */
async function unprivileged(o: SetUp): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null;
  const uid = Number(await must(["id", "-u", "postgres"], o));
  const gid = Number(await must(["id", "-g", "postgres"], o));
  return { uid, gid };
}

/** Whoever runs this may have a PGHOST or a PGSSLMODE of his own. */
function withoutPostgresVariables(): Record<string, string | undefined> {
  const own = Object.entries(process.env).filter(([name]) => !/^PG[A-Z]+$/.test(name));
  return Object.fromEntries(own);
}

async function must(
  command: readonly string[],
  o: SetUp,
  env: Readonly<Record<string, string | undefined>> = process.env,
  cwd = "/",
): Promise<string> {
  const ended = await runToEnd(command, { timeoutMs: STEP_TIMEOUT_MS, abort: o.abort, env, cwd });
  if (ended.exitCode === 0) return ended.stdout;
  throw new Error(`"${command.join(" ")}" failed: ${ended.stderr.trim() || ended.stdout.trim()}`);
}

function machineFacts(): readonly string[] {
  const [first] = cpus();
  const gib = (totalmem() / 2 ** 30).toFixed(0);
  const isVirtual = / hypervisor /.test(readFileSync("/proc/cpuinfo", "utf8"));
  const kind = isVirtual ? "virtual machine" : "machine";
  return [
    `${kind} with ${cpus().length} processors (${first?.model ?? "unknown"}), ${gib} GiB; Linux ${release()}`,
  ];
}

async function versions(options: BenchOptions, o: SetUp): Promise<string> {
  const postgres = await must([join(POSTGRES_BIN, "postgres"), "--version"], o);
  const found = [postgres.trim().replace(" (PostgreSQL)", ""), `Node.js ${process.version}`];
  for (const program of [RIVALS.pgbouncer, RIVALS.pgpool2]) {
    if (!existsSync(program)) continue;
    const { stdout, stderr } = await runToEnd([program, "--version"], {
      timeoutMs: STEP_TIMEOUT_MS,
      abort: o.abort,
    });
    found.push(((stdout || stderr).split("\n")[0] ?? "").replace(" version", ""));
  }
  if (options.against !== null) found.push(`"against" is ${options.against}`);
  return found.join(", ");
}
