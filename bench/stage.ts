/** Everything that must run before something can be measured, and how it goes away again. */
import { existsSync, readFileSync } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, loadavg, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { buildPrograms } from "../test/support/programs.ts";
import { ThrowawayPostgres } from "../test/support/throwaway-postgres.ts";
import { POSTGRES_HBA, PROVEN } from "./config-texts.ts";
import { ROWS_PER_MB, type Tools } from "./loads.ts";
import type { RelayOptions } from "./options.ts";
import { isMeasured, SETTINGS, type Cell, type ProductName, type SettingName } from "./plan.ts";
import { runToEnd, type Account, type Server } from "./processes.ts";
import { DATABASE, RIVALS, startProduct, type Product } from "./products.ts";

export interface SetUp {
  /** A new one below the project's root. */
  readonly directory: string;
  /** The bundled program of our own clients. */
  readonly crowdProgram: string;
  /** Gets what must be done in the end, in reverse order, also when something fails. */
  readonly undo: (() => Promise<void>)[];
  readonly say: (what: string) => void;
  readonly abort: AbortSignal;
}

/** The products of one act, side by side. */
export interface Company {
  readonly products: ReadonlyMap<ProductName, Product>;
  /** Those that could not be started, and why. */
  readonly missing: ReadonlyMap<ProductName, string>;
  close(): Promise<void>;
}

const POSTGRES_BIN = process.env["PGQUORUM_TEST_PG_BIN"] ?? "/usr/lib/postgresql/15/bin";
const POSTGRES_SETTINGS = [
  "shared_buffers = 64MB",
  "max_wal_senders = 5",
  "log_min_messages = fatal",
];
/** For those who look, replicate, and are about to leave. */
const SPARE_CONNECTIONS = 60;
const STEP_TIMEOUT_MS = 120_000;

export class Stage {
  readonly tools: Tools;
  /** Machine and versions. */
  readonly facts: readonly string[];
  readonly #primary: ThrowawayPostgres;
  readonly #programs: Programs;
  readonly #account: Account | null;
  readonly #options: RelayOptions;
  readonly #o: SetUp;
  readonly #standbys: ThrowawayPostgres[] = [];
  #acts = 0;

  private constructor(made: Made, o: SetUp) {
    this.tools = made.tools;
    this.facts = made.facts;
    this.#primary = made.primary;
    this.#programs = made.programs;
    this.#account = made.account;
    this.#options = made.options;
    this.#o = o;
  }

  /** Errors: what is missing without which nothing can be measured. */
  static async setUp(options: RelayOptions, o: SetUp): Promise<Stage> {
    const pgbench = join(POSTGRES_BIN, "pgbench");
    if (!existsSync(pgbench)) {
      throw new Error(
        `${pgbench} is missing: "apt-get install postgresql-15" brings it, or set PGQUORUM_TEST_PG_BIN`,
      );
    }
    const directory = await mkdtemp(join(tmpdir(), "pgquorum-bench-"));
    o.undo.push(() => rm(directory, { recursive: true, force: true }));
    await chmod(directory, 0o755);
    const programs = await buildNodes(options, directory, o);
    o.abort.throwIfAborted();
    o.say("starting PostgreSQL");
    const primary = await startPostgres(options, null, o);
    const environment = withoutPostgresVariables();
    await fillDatabase(primary, options, { pgbench, environment }, o);
    const ticksPerSecond = Number((await must(["getconf", "CLK_TCK"], o)).trim());
    const { crowdProgram, abort } = o;
    const tools = { pgbench, crowdProgram, environment, ticksPerSecond, directory, abort };
    const facts = [machineFact(), await versionsFact(options, o)];
    const account = await unprivileged(o);
    return new Stage({ tools, facts, primary, programs, account, options }, o);
  }

  /** Starts the products. Close it before another one is opened. */
  async open(
    settingName: SettingName,
    names: readonly ProductName[],
    nodeEnvironment: Readonly<Record<string, string>> = {},
  ): Promise<Company> {
    const setting = SETTINGS[settingName];
    while (this.#standbys.length < setting.standbys) {
      this.#o.say("starting a standby");
      this.#standbys.push(await startPostgres(this.#options, this.#primary, this.#o));
    }
    const standbys = this.#standbys.slice(0, setting.standbys).map((standby) => standby.port);
    this.#acts += 1;
    const directory = join(this.tools.directory, `${this.#acts}-${settingName}`);
    await mkdir(directory);
    const servers: Server[] = [];
    const close = async (): Promise<void> => {
      await Promise.all(servers.splice(0).map((server) => server.stop()));
      await rm(directory, { recursive: true, force: true });
    };
    this.#o.undo.push(close);
    const select = `select rolpassword from pg_authid where rolname = '${PROVEN.user}'`;
    const [scramSecret = ""] = await this.#primary.sql(select);
    const products = new Map<ProductName, Product>();
    const missing = new Map<ProductName, string>();
    for (const name of names) {
      this.#o.abort.throwIfAborted();
      this.#o.say(`starting ${name} for ${settingName}`);
      const started = await startProduct(name, {
        setting,
        directory,
        account: this.#account,
        backendPorts: [this.#primary.port, ...standbys],
        scramSecret,
        programs: this.#programs,
        nodeEnvironment: { PGQUORUM_NODE: this.#programs.node, ...nodeEnvironment },
        started: (server) => void servers.push(server),
      });
      if (started.ok) products.set(name, started.value);
      else missing.set(name, started.error);
      if (!started.ok) this.#o.say(`${name}: ${started.error}`);
    }
    return { products, missing, close };
  }

  loadAverage(): string {
    return (loadavg()[0] ?? 0).toFixed(1);
  }
}

interface Made {
  readonly tools: Tools;
  readonly facts: readonly string[];
  readonly primary: ThrowawayPostgres;
  readonly programs: Programs;
  readonly account: Account | null;
  readonly options: RelayOptions;
}

interface Programs {
  readonly own: string;
  readonly against: string | null;
  /**
   * A copy of Node: the share of its pages that other processes of Node use, the bench's own
   * among them, would be missing in the memory of ours.
   */
  readonly node: string;
}

/** Own builds: nobody else's build is disturbed, nor disturbs. */
async function buildNodes(
  { against }: RelayOptions,
  temporary: string,
  o: SetUp,
): Promise<Programs> {
  o.say("building pgquorum");
  const node = join(temporary, "node");
  await copyFile(process.execPath, node);
  await chmod(node, 0o755);
  const own = await buildNode(join(o.directory, "own"), "");
  if (against === null) return { own, against: null, node };
  o.abort.throwIfAborted();
  o.say(`building pgquorum of ${against}`);
  const sources = join(o.directory, "sources");
  const archive = `${sources}.tar`;
  await mkdir(sources);
  const cwd = join(o.directory, "../..");
  await must(["git", "archive", "--output", archive, against, "src"], o, process.env, cwd);
  await must(["tar", "-xf", archive, "-C", sources], o);
  return { own, against: await buildNode(join(o.directory, "against"), `${sources}/`), node };
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

async function startPostgres(
  { cells, products }: RelayOptions,
  standbyOf: ThrowawayPostgres | null,
  o: SetUp,
): Promise<ThrowawayPostgres> {
  const connections = connectionsOf(cells, products);
  const settings = [...POSTGRES_SETTINGS, `max_connections = ${connections}`];
  const server = await ThrowawayPostgres.start({
    settings,
    ...(standbyOf === null ? {} : { standbyOf }),
  });
  o.undo.push(() => server.remove());
  await writeFile(join(server.data, "pg_hba.conf"), POSTGRES_HBA);
  await server.sql("select pg_reload_conf()");
  o.abort.throwIfAborted();
  return server;
}

/** Each proxy keeps its connections while others are measured; directly each client has its own. */
function connectionsOf(cells: readonly Cell[], products: readonly ProductName[]): number {
  const ofProxy = Math.max(...cells.map(({ setting }) => SETTINGS[setting].poolSize));
  const direct = cells
    .filter((cell) => isMeasured(cell, "direct"))
    .map(({ load }) => ("clients" in load ? load.clients : 1));
  return ofProxy * products.length + Math.max(0, ...direct) + SPARE_CONNECTIONS;
}

async function fillDatabase(
  primary: ThrowawayPostgres,
  { cells }: RelayOptions,
  { pgbench, environment }: Pick<Tools, "pgbench" | "environment">,
  o: SetUp,
): Promise<void> {
  await primary.sql(`create database ${DATABASE}`);
  await primary.sql(`create role ${PROVEN.user} superuser login password '${PROVEN.password}'`);
  const at = ["-h", "127.0.0.1", "-p", `${primary.port}`, "-U", "postgres"];
  await must([pgbench, "-i", "-q", "-s", "1", ...at, DATABASE], o, environment);
  const megabytes = cells.map(({ load }) => (load.kind === "transfer" ? load.megabytes : 0));
  const rows = Math.max(...megabytes) * ROWS_PER_MB;
  if (rows === 0) return;
  o.say("filling a table for large answers");
  // With the number, its tab and the end of the line: 190 bytes.
  const sql = `create table bench_rows as select 1000000 + i as id, repeat('x', 181) as filler from generate_series(1, ${rows}) i`;
  await must([join(POSTGRES_BIN, "psql"), ...at, "-Xqc", sql, DATABASE], o, environment);
  const vacuum = "vacuum (freeze, analyze) bench_rows";
  await must([join(POSTGRES_BIN, "psql"), ...at, "-Xqc", vacuum, DATABASE], o, environment);
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

function machineFact(): string {
  const [first] = cpus();
  const gib = (totalmem() / 2 ** 30).toFixed(0);
  const isVirtual = / hypervisor /.test(readFileSync("/proc/cpuinfo", "utf8"));
  const kind = isVirtual ? "virtual machine" : "machine";
  return `${kind} with ${cpus().length} processors (${first?.model ?? "unknown"}), ${gib} GiB; Linux ${release()}`;
}

async function versionsFact({ against }: RelayOptions, o: SetUp): Promise<string> {
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
  if (against !== null) found.push(`"against" is ${against}`);
  return found.join(", ");
}
