/**
 * Online recovery of one server: scripts in the primary's data directory copy it to the other host
 * and start the copy there. They run through the extension pgpool_recovery, as in Pgpool-II, or over
 * ssh, for those who want no extension in their databases.
 *
 * Source: arguments and order as of pgpool_recovery 1.4, and of Pgpool-II 4.3.5 on a running server.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { fail, succeed, type Ms, type Result } from "../../base/index.ts";
import { monotonicNowMs, runCommand, type CommandRight, type Log } from "../../os/index.ts";
import type { RecoveryStage } from "../../wire/ipc/index.ts";
import type { FailoverBackend } from "../core/failover/index.ts";
import { probeBackend } from "./probe.ts";
import { openServerSession, type ServerLogin, type ServerSession } from "./server-session.ts";

export interface RecoverySettings {
  readonly method: "extension" | "ssh";
  /** recovery_user and its kin. */
  readonly login: ServerLogin;
  /** In the primary's data directory; empty: the copy is made by other means. */
  readonly firstStageCommand: string;
  /** Longest wait for the recovered server. */
  readonly timeoutMs: Ms;
  readonly connectTimeoutMs: Ms;
}

export interface RecoverServerOptions extends RecoverySettings {
  readonly source: FailoverBackend;
  readonly target: FailoverBackend;
  readonly log: Log;
  /** What comes before it was done already. */
  readonly from: RecoveryStage;
  /** An earlier recovery that still runs on the primary is waited for: its node was lost. */
  readonly isTakenUp: boolean;
  /** Resolves when the stage may begin. */
  readonly onStage: (stage: RecoveryStage) => Promise<void>;
  /** Its reason is the text that says why it is stopped. */
  readonly signal: AbortSignal;
  /** Nothing begins without it, and what runs over ssh dies with it. */
  readonly right: CommandRight;
}

type Done = Result<void, string>;
/** Errors: it may not begin any more. */
type Begin = (stage: RecoveryStage) => Promise<Done>;

const REMOTE_START = "pgpool_remote_start";
const EXTENSION_DATABASE = "template1";
const LOOK_EVERY_MS: Ms = 500;
const PROBE_MS: Ms = 3000;
const QUESTION_MS: Ms = 5000;
/** A copy may take as long as it takes. */
const STAGE_MS_MAX: Ms = 7 * 24 * 3600 * 1000;
const SAID_CHARACTERS_MAX = 200;

/** Errors: the step that failed and why. Never rejects. */
export async function recoverServer(options: RecoverServerOptions): Promise<Done> {
  const { signal, from } = options;
  const stopped = new Promise<Done>((resolve) => {
    const stop = (): void => resolve(fail(String(signal.reason)));
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  const begin: Begin = async (stage) => {
    const leave = stage === from ? null : await Promise.race([options.onStage(stage), stopped]);
    if (leave?.ok === false) return leave;
    if (monotonicNowMs() < options.right.untilMs) return succeed(undefined);
    return fail("this node no longer leads the cluster");
  };
  if (from !== "waiting for the server") {
    const run = options.method === "ssh" ? runBySsh : runByExtension;
    const made = await Promise.race([run(options, begin), stopped]);
    if (!made.ok) return made;
    const begun = await begin("waiting for the server");
    if (!begun.ok) return begun;
  }
  return await Promise.race([untilItRuns(options), stopped]);
}

async function runByExtension(options: RecoverServerOptions, begin: Begin): Promise<Done> {
  const opened = await openWhenQuiet(options);
  if (!opened.ok) return opened;
  const { session, argumentsCount } = opened.value;
  const onStop = (): void => void session.close();
  options.signal.addEventListener("abort", onStop, { once: true });
  try {
    if (options.from === "first stage" && options.firstStageCommand !== "") {
      const words = firstStageWords(options);
      const first = words.slice(0, argumentsCount).map(literalOf).join(", ");
      const copied = await call(session, `pgpool_recovery(${first})`);
      if (!copied.ok) return atStage("1st stage", options, copied.error);
    }
    const begun = await begin("remote start");
    if (!begun.ok) return begun;
    const { target } = options;
    const start = [hostOf(target), target.dataDirectory].map(literalOf).join(", ");
    const started = await call(session, `pgpool_remote_start(${start})`);
    return started.ok ? started : atStage("remote start", options, started.error);
  } finally {
    options.signal.removeEventListener("abort", onStop);
    await session.close();
  }
}

interface Opened {
  readonly session: ServerSession;
  readonly argumentsCount: number;
}

/** What a lost node has begun ends by itself, and nobody hears how: it is waited for. */
async function openWhenQuiet(options: RecoverServerOptions): Promise<Result<Opened, string>> {
  for (let isSaid = false; ; await sleep(LOOK_EVERY_MS)) {
    const opened = await openWithExtension(options);
    if (opened.ok) return opened;
    const { why, isBusy } = opened.error;
    if (!isBusy || !options.isTakenUp || options.signal.aborted) return fail(why);
    if (!isSaid) options.log.write("log", "recovery waits", { detail: why });
    isSaid = true;
  }
}

/** The extension is looked for in recovery_database and, as of old, in template1. */
async function openWithExtension(
  options: RecoverServerOptions,
): Promise<Result<Opened, { readonly why: string; readonly isBusy: boolean }>> {
  const { source, login, connectTimeoutMs } = options;
  const no = (why: string): ReturnType<typeof fail<{ why: string; isBusy: boolean }>> =>
    fail({ why, isBusy: false });
  const place = `node ${source.id} (${source.hostname}:${source.port})`;
  for (const database of new Set([login.database, EXTENSION_DATABASE])) {
    const { hostname, port } = source;
    const address = { hostname, port, ...login, database, connectTimeoutMs };
    const opened = await openServerSession({ ...address, timeoutMs: PROBE_MS });
    if (!opened.ok)
      return no(`could not connect to the primary, ${place}: ${opened.error.message}`);
    const session = opened.value;
    const looked = await session.ask(async (ask) => {
      const [busy] = await ask(BUSY_SQL);
      const [known] = await ask(ARGUMENTS_SQL);
      return { busyPid: busy?.[0] ?? null, argumentsCount: Number(known?.[0] ?? 0) };
    }, QUESTION_MS);
    if (looked.ok && looked.value.busyPid === null && looked.value.argumentsCount > 0) {
      return succeed({ session, argumentsCount: looked.value.argumentsCount });
    }
    await session.close();
    if (!looked.ok) return no(`the primary, ${place}, could not be asked: ${looked.error.message}`);
    if (looked.value.busyPid !== null) {
      const pid = looked.value.busyPid;
      const why = `an earlier recovery still runs on the primary, ${place}, in process ${pid}`;
      return fail({ why, isBusy: true });
    }
  }
  return no(
    `the extension pgpool_recovery is neither in database "${login.database}" nor in ${EXTENSION_DATABASE} of the primary, ${place}: CREATE EXTENSION pgpool_recovery, or set recovery_method = 'ssh'`,
  );
}

/** One whose node was lost runs on: nobody can stop it from outside. */
const BUSY_SQL = `
  SELECT pid FROM pg_catalog.pg_stat_activity
  WHERE pid <> pg_catalog.pg_backend_pid() AND state = 'active' AND query LIKE 'SELECT pgpool_re%'`;
const ARGUMENTS_SQL = `
  SELECT pg_catalog.max(pronargs) FROM pg_catalog.pg_proc
  WHERE proname = 'pgpool_recovery' AND pg_catalog.pg_function_is_visible(oid)`;

async function call(session: ServerSession, expression: string): Promise<Done> {
  const called = await session.ask(async (ask) => {
    await ask("SET statement_timeout TO 0");
    await ask(`SELECT ${expression}`);
  }, STAGE_MS_MAX);
  return called.ok ? succeed(undefined) : fail(called.error.message);
}

/** The script and what it is told, in the order of the function's arguments. */
function firstStageWords(options: RecoverServerOptions): readonly string[] {
  const { source, target, firstStageCommand } = options;
  const remote = [hostOf(target), target.dataDirectory];
  const more = [String(source.port), String(target.id), String(target.port), hostOf(source)];
  return [firstStageCommand, ...remote, ...more];
}

function literalOf(word: string): string {
  return pg.escapeLiteral(word);
}

/** As Pgpool-II tells it to scripts. */
function hostOf({ hostname }: FailoverBackend): string {
  return hostname === "" || hostname.startsWith("/") ? "localhost" : hostname;
}

function atStage(stage: string, { source }: RecoverServerOptions, why: string): Done {
  return fail(
    `executing recovery, execution of command failed at "${stage}": ${why}; ` +
      `the log of PostgreSQL on node ${source.id} has what the script said`,
  );
}

async function runBySsh(options: RecoverServerOptions, begin: Begin): Promise<Done> {
  const { source, target, firstStageCommand, from } = options;
  const data = source.dataDirectory;
  if (from === "first stage" && firstStageCommand !== "") {
    const [script = "", ...words] = firstStageWords(options);
    const copied = await onHost(options, "1st stage", [`${data}/${script}`, data, ...words]);
    if (!copied.ok) return copied;
  }
  const begun = await begin("remote start");
  if (!begun.ok) return begun;
  const start = [`${data}/${REMOTE_START}`, hostOf(target), target.dataDirectory];
  return await onHost(options, "remote start", start);
}

/** Settings of scripts/remote-functions.sh, which the scripts there read as well. */
const FORWARDED: readonly string[] = [
  "PGQUORUM_SSH",
  "PGQUORUM_SSH_CONFIG",
  "PGQUORUM_SSH_USER",
  "PGQUORUM_SSH_TIMEOUT",
  "PGQUORUM_SSH_KEEP",
  "PGQUORUM_POSTGRES_BIN",
  "PGQUORUM_POSTGRES_LOG",
  "PGQUORUM_SUPERUSER",
  "PGQUORUM_REPLICATION_USER",
];

/** It never asks a question, and notices a host that is lost. */
const SSH_OPTIONS: readonly string[] = [
  "-T",
  "-oBatchMode=yes",
  "-oConnectTimeout=3",
  "-oServerAliveInterval=5",
  "-oServerAliveCountMax=3",
];

/** Runs one command on the primary's host, with the settings of scripts/remote-functions.sh. */
async function onHost(
  options: RecoverServerOptions,
  stage: string,
  words: readonly string[],
): Promise<Done> {
  const { source, log, signal, right } = options;
  const { PGQUORUM_SSH, PGQUORUM_SSH_CONFIG, PGQUORUM_SSH_USER } = process.env;
  const settings = FORWARDED.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [`${name}=${value}`];
  });
  const config = PGQUORUM_SSH_CONFIG === undefined ? [] : ["-F", PGQUORUM_SSH_CONFIG];
  const { exitCode, startError, lines } = await runCommand({
    command: [
      PGQUORUM_SSH ?? "ssh",
      ...SSH_OPTIONS,
      ...config,
      "--",
      `${PGQUORUM_SSH_USER ?? "postgres"}@${hostOf(source)}`,
      ["env", ...settings, ...words].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" "),
    ],
    timeoutMs: 0,
    right,
    signal,
    onLine: (line) => log.write("log", `recovery, ${stage}: ${line}`),
  });
  if (exitCode === 0) return succeed(undefined);
  const said = (startError ?? lines.at(-1) ?? "it said nothing").slice(-SAID_CHARACTERS_MAX);
  return fail(`executing recovery, execution of command failed at "${stage}": ${said}`);
}

async function untilItRuns(options: RecoverServerOptions): Promise<Done> {
  const { target, login, connectTimeoutMs, timeoutMs, signal } = options;
  const { hostname, port } = target;
  const address = { hostname, port, ...login, database: "", connectTimeoutMs };
  const untilMs = monotonicNowMs() + timeoutMs;
  for (;;) {
    const probed = await probeBackend({ ...address, timeoutMs: PROBE_MS, ask: "role" });
    if (probed.ok && probed.value.isInRecovery === true) return succeed(undefined);
    if (probed.ok) return fail(`node ${target.id} runs, but is no standby`);
    if (signal.aborted) return fail(String(signal.reason));
    if (monotonicNowMs() >= untilMs) {
      return fail(
        `node ${target.id} did not let us in within recovery_timeout: ${probed.error.message}`,
      );
    }
    await sleep(LOOK_EVERY_MS);
  }
}

const PROGRESS_SQL = `
  SELECT pg_catalog.sum(backup_streamed), pg_catalog.sum(backup_total)
  FROM pg_catalog.pg_stat_progress_basebackup`;

/** How far the base backups that a primary sends have come; null when it sends none or is silent. */
export async function askBackupProgress(
  source: Pick<FailoverBackend, "hostname" | "port">,
  login: ServerLogin,
  connectTimeoutMs: Ms,
): Promise<{ readonly bytes: number; readonly ofBytes: number | null } | null> {
  const { hostname, port } = source;
  const address = { hostname, port, ...login, connectTimeoutMs, timeoutMs: PROBE_MS };
  const opened = await openServerSession(address);
  if (!opened.ok) return null;
  const answer = await opened.value.ask((ask) => ask(PROGRESS_SQL), PROBE_MS);
  await opened.value.close();
  const [bytes = null, ofBytes = null] = (answer.ok ? answer.value[0] : null) ?? [];
  if (bytes === null) return null;
  return { bytes: Number(bytes), ofBytes: ofBytes === null ? null : Number(ofBytes) };
}
