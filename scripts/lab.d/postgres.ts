/** The PostgreSQL server of each host: made, started, asked and killed. */
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { pgHbaConf, postgresqlConf, socketDirectory, type Secrets } from "./config-texts.ts";
import { LabFailure } from "./failure.ts";
import { asPostgres, environmentOf, insideHost } from "./inside.ts";
import { ACCOUNTS, files, type Host, type LabPlan } from "./layout.ts";
import {
  allProcesses,
  processInfo,
  signalAll,
  waitUntilGone,
  type ProcessInfo,
} from "./processes.ts";
import { run, tryRun, waitFor, type Ran } from "./shell.ts";

const START_SECONDS = 60;
const KILLED_WITHIN_MS = 5_000;

/** The name that the scripts give to a host's slot on whichever server is primary. */
export function slotName(host: Host): string {
  return `pgquorum_${host.id}`;
}

export async function ensurePrimary(
  plan: LabPlan,
  hosts: readonly Host[],
  primary: Host,
  secrets: Secrets,
): Promise<void> {
  if (existsSync(join(primary.pgdata, "PG_VERSION"))) return;
  const { application, monitor, replication } = ACCOUNTS;
  const words = ["initdb", "--no-sync", "--no-instructions", "-k", "-U", "postgres"];
  const where = ["-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-D", primary.pgdata];
  await run(asPostgres([...program(plan, words), ...where]), { env: environmentOf(plan, primary) });
  // Nobody but the server itself could follow the path, so the relative one is enough.
  appendFileSync(join(primary.pgdata, "postgresql.conf"), "include = '../etc/postgresql.conf'\n");
  writeFileSync(join(primary.pgdata, "pg_hba.conf"), pgHbaConf(plan));
  for (const script of ["recovery_1st_stage", "pgpool_remote_start", "remote-functions.sh"]) {
    const target = join(primary.pgdata, script);
    copyFileSync(join(plan.repository, "scripts", script), target);
    await chownToPostgres(target);
  }
  writeServerConfig(hosts, primary);
  await startServer(plan, primary);
  const password = plan.mode === "loopback" ? `PASSWORD '${secrets.password}'` : "";
  // No standby is there yet: a commit that waited for one would wait for ever.
  await sql(plan, primary, [
    "SET synchronous_commit = local",
    ...(password === "" ? [] : [`ALTER ROLE postgres ${password}`]),
    `CREATE ROLE ${replication.user} LOGIN REPLICATION ${password}`,
    `CREATE ROLE ${monitor.user} LOGIN ${password} IN ROLE pg_monitor`,
    `CREATE ROLE ${application.user} LOGIN PASSWORD '${application.password}'`,
    `CREATE DATABASE ${application.database} OWNER ${application.user}`,
  ]);
}

export async function ensureStandby(
  plan: LabPlan,
  hosts: readonly Host[],
  standby: Host,
  primary: Host,
): Promise<void> {
  if (existsSync(join(standby.pgdata, "PG_VERSION"))) return;
  writeServerConfig(hosts, standby);
  const from = ["-h", primary.address, "-p", String(primary.ports.postgres)];
  const words = ["pg_basebackup", ...from, "-U", ACCOUNTS.replication.user, "-D", standby.pgdata];
  const how = [
    "-X",
    "stream",
    "-R",
    "-C",
    "-S",
    slotName(standby),
    "--checkpoint=fast",
    "--no-sync",
  ];
  await run(insideHost(standby, asPostgres([...program(plan, words), ...how])), {
    env: environmentOf(plan, standby),
  });
  await startServer(plan, standby);
}

function writeServerConfig(hosts: readonly Host[], host: Host): void {
  writeFileSync(join(host.etc, "postgresql.conf"), postgresqlConf(host, hosts));
}

export async function chownToPostgres(...paths: string[]): Promise<void> {
  if (process.getuid?.() === 0) await run(["chown", "postgres:", ...paths]);
}

/** Starts the server with the data as they are; nothing happens when it runs already. */
export async function startServer(plan: LabPlan, host: Host): Promise<void> {
  if (postmaster(host) !== null) return;
  await waitForRemainder(host);
  const words = ["pg_ctl", "-D", host.pgdata, "-l", files.postgresLog(host), "-w"];
  const how = ["-t", String(START_SECONDS), "start"];
  const ran = await tryRun(insideHost(host, asPostgres([...program(plan, words), ...how])), {
    env: environmentOf(plan, host),
    timeoutMs: (START_SECONDS + 5) * 1000,
  });
  if (ran.code === 0) return;
  const said = await tryRun(["tail", "-n", "15", files.postgresLog(host)]);
  throw new LabFailure(`PostgreSQL of ${host.name} did not start`, said.stdout.trim());
}

/**
 * A killed server keeps its number until the system has taken notice, and a server whose number
 * seems to be in use keeps a new one from starting.
 */
async function waitForRemainder(host: Host): Promise<void> {
  const pid = serverPid(host);
  if (pid === null) return;
  await waitFor(() => (existsSync(`/proc/${pid}`) ? null : true), KILLED_WITHIN_MS);
}

/** The running server of the host, or null. */
export function postmaster(host: Host): ProcessInfo | null {
  const info = processInfo(serverPid(host) ?? 0);
  const program = basename(readlinkOf(`/proc/${info?.pid}/exe`));
  return program.startsWith("postgres") ? info : null;
}

/** A replaced program, as after an upgrade, has " (deleted)" behind its name. */
function readlinkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function serverPid(host: Host): number | null {
  try {
    const [line = ""] = readFileSync(join(host.pgdata, "postmaster.pid"), "utf8").split("\n");
    return /^\d+$/.test(line) ? Number(line) : null;
  } catch {
    return null;
  }
}

/**
 * Signals the postmaster and every process of it. Returns how many got the signal; after KILL
 * all of them have ended.
 */
export async function signalServer(host: Host, signal: NodeJS.Signals): Promise<number> {
  const parent = postmaster(host);
  if (parent === null) return 0;
  const children = allProcesses().filter((process) => process.parentPid === parent.pid);
  // The postmaster first: it would start anew what it sees dying.
  const family = [parent, ...children];
  const count = signalAll(family, signal);
  if (signal === "SIGKILL") await waitUntilGone(family, KILLED_WITHIN_MS);
  return count;
}

/** Ends the server at once, without the clean-up that would take time; its memory is given back. */
export async function stopServer(host: Host): Promise<void> {
  const parent = postmaster(host);
  if (parent !== null) {
    signalAll([parent], "SIGCONT");
    signalAll([parent], "SIGQUIT");
    if (!(await waitUntilGone([parent], KILLED_WITHIN_MS))) await signalServer(host, "SIGKILL");
  }
  await removeSharedMemory(host);
}

/** A killed server leaves a small shared memory segment behind, named in its pid file. */
async function removeSharedMemory(host: Host): Promise<void> {
  let line: string;
  try {
    line = readFileSync(join(host.pgdata, "postmaster.pid"), "utf8").split("\n")[6] ?? "";
  } catch {
    return; // A server that ended by itself removed both.
  }
  const id = line.trim().split(/\s+/)[1];
  if (id !== undefined && /^\d+$/.test(id)) await tryRun(["ipcrm", "-m", id]);
}

export type ServerRole = "primary" | "standby" | "down";

export async function roleOf(plan: LabPlan, host: Host): Promise<ServerRole> {
  if (postmaster(host) === null) return "down";
  const ran = await trySql(plan, host, ["SELECT pg_is_in_recovery()"]);
  if (ran.code !== 0) return "down";
  return ran.stdout.trim() === "t" ? "standby" : "primary";
}

/** Runs statements as superuser on the server of one host, past every node. Returns the rows. */
export function sql(plan: LabPlan, host: Host, statements: readonly string[]): Promise<string[]> {
  return sqlInDatabase(plan, host, "postgres", statements);
}

export async function sqlInDatabase(
  plan: LabPlan,
  host: Host,
  database: string,
  statements: readonly string[],
): Promise<string[]> {
  const ran = await trySql(plan, host, statements, database);
  if (ran.code !== 0) {
    throw new LabFailure(`PostgreSQL of ${host.name} refused a statement`, ran.stderr.trim());
  }
  return ran.stdout.split("\n").filter((line) => line !== "");
}

function trySql(
  plan: LabPlan,
  host: Host,
  statements: readonly string[],
  database = "postgres",
): Promise<Ran> {
  const where = ["-h", socketDirectory(host), "-p", String(host.ports.postgres), "-U", "postgres"];
  const how = ["-d", database, "-XAtq", "-v", "ON_ERROR_STOP=1"];
  const words = [...program(plan, ["psql"]), ...where, ...how];
  return tryRun(asPostgres([...words, ...statements.flatMap((each) => ["-c", each])]), {
    env: { ...environmentOf(plan, host), PGCONNECT_TIMEOUT: "3" },
    timeoutMs: 20_000,
  });
}

/** The words with the first, a program of PostgreSQL, named by its full path. */
export function program(plan: LabPlan, words: readonly string[]): string[] {
  const [name = "", ...rest] = words;
  return [join(plan.postgresBin, name), ...rest];
}
