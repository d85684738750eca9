/**
 * The root of a proxy worker: puts together its configuration, pool, classifier and listener, and
 * obeys the supervisor. It ends when the channel to the supervisor closes.
 */
import type { SendHandle } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { Socket } from "node:net";
import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { loadModule, parseSync } from "libpg-query";
import { failure } from "../base/index.ts";
import { formatFinding, liveBackends, showPoolStatus, type Config } from "../config/index.ts";
import {
  formatLocalTime,
  logOptionsFor,
  monotonicNowMs,
  openLog,
  ownPassword,
  type OpenLog,
  type ServerHandle,
  type SocketProblem,
} from "../os/index.ts";
import type {
  ClientRow,
  ClusterView,
  FromWorker,
  ActivityName,
  ListName,
  NodeActivity,
  NodeList,
  PlacesToWorker,
  QueueRow,
  ToWorker,
  WorkerActivity,
} from "../wire/ipc/index.ts";
import { ConnectionClaims, idleLifeMs } from "./core/pool/index.ts";
import { Catalogs, mutationLifeMs, TableMutations, type HoldLimits } from "./core/routing/index.ts";
import { ParameterSets, SessionStates, SharedStatements } from "./core/session/index.ts";
import { maintenanceText } from "./core/show/index.ts";
import { createClassifier } from "./core/sql/index.ts";
import {
  BackendPauses,
  BackendPool,
  connectionRows,
  explainRouting,
  IdleGiver,
  kindRows,
  laneRows,
  chooseSocketIo,
  Listener,
  NodeListQuestions,
  readSettings,
  PrimaryWatch,
  SharedConnections,
  SyncWaits,
  type OwnLogin,
  ReplayWatch,
  StandbyWatch,
  TableWrites,
  sharedSettings,
  sharedSizes,
  TimedGate,
  type AcceptedClient,
  type SettingsRead,
  type WorkerContext,
} from "./driver/index.ts";

/** Something that only an operator can change keeps this worker from running. */
const UNUSABLE_STATUS = 3;
const TICK_MS = 1000;
/** Sessions end on their own after they were told to; this is for those that do not. */
const FAST_STOP_WITHIN_MS = 2000;
const CLASSES_MAX = 10_000;

const IO_NAMES = { net: "net.Socket", handle: "libuv's streams" };

const NO_VIEW: ClusterView = {
  index: -1,
  epoch: 0,
  primaryEpoch: 0,
  primaryId: null,
  awaitsPrimary: false,
  maintenance: null,
  drainingId: null,
  backends: [],
  refusal: null,
  isStreaming: true,
  delayIsTime: false,
};

const workerId = Number(process.env.PGQUORUM_WORKER ?? "1");
const isDebugging = process.env.PGQUORUM_DEBUG === "1";
process.title = `pgpool: worker ${workerId}`;

const first = await readFirstSettings();
let { settings } = first;
/** As the supervisor sees it, and as sessions do: without standbys that give no sign of life. */
let wholeView = NO_VIEW;
let view = NO_VIEW;
let isStopping = false;
const log: OpenLog = openLog(logOptionsFor(settings.config, "child", isDebugging));
if (workerId === 1) {
  // All workers read the same files; one of them is enough to say it.
  for (const finding of first.findings) log.write("warning", formatFinding(finding));
}

// The parser runs once for each shape of statement. Made faster in the background, as V8 would, it
// takes 25 to 40 MB of memory and more processor time than it ever gives back.
setFlagsFromString("--no-wasm-tier-up");
setFlagsFromString("--no-wasm-dynamic-tiering");
await loadModule();
const classifier = createClassifier({
  parse: parseSync,
  cacheEntriesMax: CLASSES_MAX,
  parseBytesMax: settings.config.relay_parse_size_max,
  hashSeed: randomInt(2 ** 32),
});

const io = await chooseSocketIo(process.env.PGQUORUM_IO);
if (io.kind !== "epoll") log.write("debug1", `socket I/O goes by way of ${IO_NAMES[io.kind]}`);
const { config } = settings;
const known = {
  states: new SessionStates(),
  sets: new ParameterSets(),
  statements: new SharedStatements(
    settings.config.max_prepared_statements,
    undefined,
    `${randomBytes(8).toString("hex")}_`,
  ),
};
const caps = [
  config.max_backend_connections,
  config.max_db_connections,
  config.max_user_connections,
].filter((max) => max > 0);
const claims = new ConnectionClaims({ isCapped: caps.length > 0, tell });
const pool = new BackendPool({
  io,
  sets: known.sets,
  connectionsMax: connectionsFor(settings.clientsMax),
  lifeTimeMs: idleLifeMs(config),
  clientsMax: config.child_max_connections,
  isCaching: config.connection_cache && config.max_pool > 0,
  connectTimeoutMs: config.connect_timeout,
  resetQueries: config.reset_query_list,
  claims,
});
const shared = new SharedConnections(
  io,
  sharedSizes(config, workersOf(config)),
  sharedSettings(config),
  known,
  claims,
  (backendId, message) => report({ type: "backend-error", backendId, cause: "connect", message }),
);
const idleGiver = new IdleGiver(claims, pool, shared);
const statistics: number[] = [];
const startedAt = Date.now();
const catalogs = new Catalogs({
  namesMax: config.relcache_size,
  lifeMs: config.relcache_expire * 1000,
});
const tableWrites = new TableWrites(tell);
const mutations = new TableMutations(
  {
    nowMs: monotonicNowMs,
    lifeMs: () => mutationLifeMs(wholeView, settings.config),
    tell: (database, tables) => tableWrites.written(database, tables),
  },
  config,
);
const gate = new TimedGate(holdLimits(config), () => {
  listener.gateChanged();
  primary.gateChanged();
});
const primary = new PrimaryWatch({ io, sets: known.sets, log, gate, login: checkLogin });
const pauses = new BackendPauses({
  holdMs: () => settings.config.queue_timeout,
  countRunning: (backendId) => pool.countRunning(backendId) + shared.countRunning(backendId),
  changed: () => listener.gateChanged(),
  tell,
});
const allClients = new NodeListQuestions<NodeList<ClientRow>>("clients", tell);
const allQueues = new NodeListQuestions<NodeList<QueueRow>>("queues", tell);
const allActivity = {
  activity: new NodeListQuestions<NodeActivity>("activity", tell),
  statistics: new NodeListQuestions<NodeActivity>("statistics", tell),
};
const standbys = new StandbyWatch({
  io,
  sets: known.sets,
  log,
  login: checkLogin,
  silenceMs: () => settings.config.standby_silence_timeout,
  changed: takeView,
});
const syncWaits = new SyncWaits(io, known.sets, ownLogin);
const replay = new ReplayWatch({
  io,
  sets: known.sets,
  log,
  login: ownLogin,
  waitMs: () => settings.config.read_consistency_wait,
  failed: (backendId) => standbys.suspect(backendId),
});
const context: WorkerContext = {
  workerId,
  log,
  io,
  pool,
  shared,
  known,
  statistics,
  tell: report,
  awaited: (backendId) => standbys.awaited(backendId),
  passClient,
  classify: (input, start, end) => classifier.classifyBytes(input, start, end),
  settings: () => settings,
  view: () => view,
  wholeView: () => wholeView,
  askForClients: (done) => allClients.ask(done),
  askForQueues: (done) => allQueues.ask(done),
  askForActivity: (what, done) => allActivity[what].ask(done),
  gate,
  primary,
  replay,
  syncWaits,
  pauses,
  poolStatus: () =>
    showPoolStatus(settings.config, settings.config.pgpool_compat_version, {
      ...liveBackends(wholeView.backends),
      maintenance: maintenanceText(wholeView.maintenance, formatLocalTime),
    }),
  catalogs,
  mutations,
  catalogChanged: (database, functions) => {
    catalogs.drop(database, functions);
    tell({ type: "catalog-changed", database, functions });
  },
  version: () => `${settings.config.pgpool_compat_version}.0 (pgquorum)`,
};
const listener = new Listener(context);

process.on("message", (message: ToWorker, handle: unknown) => onMessage(message, handle));
process.on("disconnect", () => process.exit(0));
// The supervisor decides when a worker ends; a terminal's Ctrl-C goes to the whole group.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);

/** Doors that could not be opened. */
const problems: SocketProblem[] = [];
let reported = "";
// At once: what the supervisor said before this line was lost, and now it can say it again.
tick();
setInterval(tick, TICK_MS).unref();

function onMessage(message: ToWorker, handle: unknown): void {
  switch (message.type) {
    case "door":
      return openDoor(handle as ServerHandle, message.name, message.path);
    case "doors-given":
      return doorsGiven();
    case "client":
      // It may be gone before it arrives.
      if (handle) listener.take(handle as AcceptedClient);
      return;
    case "crowd":
      return listener.crowdTold(message.othersCount, message.othersConnections);
    case "view":
      return viewChanged(message.view);
    case "lease":
      return gate.leaseTaken(message.untilMs);
    case "reload":
      return reload();
    case "pause-backend":
      pauses.begin(message.backendId, message.round);
      return shared.pauseBackend(message.backendId);
    case "resume-backend":
      pauses.end(message.backendId);
      if (message.backendId === wholeView.drainingId) return undefined;
      return shared.resumeBackend(message.backendId);
    case "vip-left":
      return listener.shutDownAt(message.address, failure("vip-left"));
    case "places":
    case "places-granted":
    case "places-refused":
    case "places-scarce":
      return placesTold(message);
    case "explain-route":
      return explainRouting(context, message.question, (items) => {
        tell({ type: "route-explained", id: message.id, items });
      });
    case "catalog-changed":
      return catalogs.drop(message.database, message.functions);
    case "tables-written":
      return mutations.writtenElsewhere(message.database, message.tables);
    case "connections-granted":
      return claims.granted(message.kind, message.count);
    case "connections-scarce":
      claims.scarceTold(message.rooms);
      return idleGiver.look();
    case "list":
      return list(message.what, message.id);
    case "all-clients":
      return allClients.answered(message.id, message.list);
    case "all-queues":
      return allQueues.answered(message.id, message.list);
    case "all-activity":
      return allActivity[message.what].answered(message.id, message.activity);
    case "cancel":
      return listener.cancelHere(message.processId, message.secretKey, () => {
        tell({ type: "cancelled", id: message.id, from: message.from });
      });
    case "cancelled":
      return listener.cancelledElsewhere(message.id);
    case "stop":
      return stop(message.mode);
  }
}

function viewChanged(next: ClusterView): void {
  const before = wholeView;
  wholeView = next;
  gate.viewTaken(next);
  if (next.primaryId !== before.primaryId) catalogs.dropAll();
  takeView();
  if (next.drainingId !== before.drainingId) drainingChanged(before.drainingId);
  primary.viewTaken(next);
  const { index } = next;
  if (index !== before.index) pauses.whenCalm(() => tell({ type: "applied", index }));
}

/** A switchover has begun, or is over: then who waits for the old primary asks anew. */
function drainingChanged(beforeId: number | null): void {
  const { drainingId, primaryId } = wholeView;
  if (drainingId !== null) shared.pauseBackend(drainingId);
  pauses.drain(drainingId);
  if (beforeId === null || beforeId === drainingId) return;
  if (beforeId !== primaryId) shared.leaveBackend(beforeId);
  if (!pauses.isPaused(beforeId)) shared.resumeBackend(beforeId);
}

function takeView(): void {
  const before = view;
  view = standbys.take(wholeView);
  replay.viewTaken(view);
  for (const backend of before.backends) {
    const now = view.backends.find((one) => one.id === backend.id);
    const isUp = now?.state === "up" || now?.state === "waiting";
    const isElsewhere = now?.hostname !== backend.hostname || now.port !== backend.port;
    if (isUp && !isElsewhere) continue;
    pool.dropBackend(backend.id);
    shared.dropBackend(backend.id);
  }
  listener.viewChanged(view);
}

function openDoor(door: ServerHandle, name: string, path: string | null): void {
  const problem = listener.openDoor(door, name, path);
  if (problem !== null) problems.push(problem);
}

function doorsGiven(): void {
  if (problems.length === 0) return tell({ type: "ready" });
  for (const { message, hint } of problems) log.write("fatal", message, { hint });
  void endUnusable(problems.map(({ message, hint }) => `${message}\nHINT:  ${hint}`));
}

function passClient(accepted: AcceptedClient): void {
  const client = io.passable(accepted);
  const close = (): void => {
    if (client instanceof Socket) client.destroy();
    else client.close();
  };
  const message: FromWorker = { type: "client" };
  if (process.send === undefined || !process.connected) close();
  else process.send(message, client as SendHandle, { keepOpen: false }, close);
}

function reload(): void {
  const next = readSettings(workersOf);
  const findings = next.ok ? next.value.findings : next.error;
  for (const finding of findings) log.write("warning", formatFinding(finding));
  if (!next.ok) {
    const hint = "Correct the files and reload again.";
    log.write("error", "reload failed: the configuration of before stays in use", { hint });
    return;
  }
  // What was fixed at start stays: the listeners, the size of the pool, the number of clients.
  settings = { ...next.value.settings, clientsMax: settings.clientsMax };
  const { connect_timeout: connectTimeoutMs, reset_query_list: resetQueries } = settings.config;
  pool.change({ connectTimeoutMs, resetQueries });
  shared.change(sharedSettings(settings.config));
  gate.change(holdLimits(settings.config));
  known.statements.perConnectionMax = settings.config.max_prepared_statements;
  log.change(logOptionsFor(settings.config, "child", isDebugging));
}

function stop(mode: "smart" | "fast"): void {
  if (!isStopping) listener.stopAccepting(end);
  isStopping = true;
  if (mode === "smart") return;
  listener.shutDownAll(failure("shutting-down"));
  setTimeout(end, FAST_STOP_WITHIN_MS).unref();
}

function end(): void {
  pool.closeIdle();
  shared.closeIdle();
  // What was written to sockets just now leaves in this turn of the loop.
  setImmediate(() => process.exit(0));
}

function tick(): void {
  pool.resize(connectionsFor(listener.placesCount));
  pool.expire();
  catalogs.expire(monotonicNowMs());
  mutations.expire();
  shared.expire();
  pauses.look();
  listener.lookAtClients();
  replay.look();
  if (classifier.parserFault !== null && !isStopping) replaceWhenEmpty(classifier.parserFault);
  const stats: FromWorker = { type: "stats", clients: listener.counts, statistics };
  const text = JSON.stringify(stats);
  if (text === reported) return;
  reported = text;
  tell(stats);
}

/** A parser that failed inside may fail anyhow from now on; until then all goes to the primary. */
function replaceWhenEmpty(fault: string): void {
  log.write("warning", "a statement damaged the SQL parser of this worker", {
    detail: fault,
    hint: "It takes no new clients, and is replaced when those it has are gone.",
  });
  tell({ type: "leaving" });
  stop("smart");
}

async function readFirstSettings(): Promise<SettingsRead> {
  const read = readSettings(workersOf);
  if (read.ok) return read.value;
  for (const finding of read.error) process.stderr.write(`${formatFinding(finding)}\n`);
  return await endUnusable(read.error.map(formatFinding));
}

/** Whoever started the node may not see our log, so the supervisor is told why as well. */
async function endUnusable(reasons: readonly string[]): Promise<never> {
  const message: FromWorker = { type: "unusable", reason: reasons.join("\n") };
  await new Promise((sent) => {
    if (process.send === undefined) sent(null);
    else process.send(message, undefined, undefined, sent);
  });
  return process.exit(UNUSABLE_STATUS);
}

function list(what: ListName, id: number): void {
  if (what === "clients") return tell({ type: "clients", id, rows: listener.clientRows() });
  if (what === "activity" || what === "statistics") {
    return tell({ type: "activity", what, id, rows: [activity(what)] });
  }
  const ofSessions = caps.length === 0 ? [] : kindRows(workerId, pool.kinds, Math.min(...caps));
  const lanes = laneRows(workerId, shared.lanes);
  tell({ type: "queues", id, rows: [listener.queueRow(), ...lanes, ...ofSessions] });
}

function activity(what: ActivityName): WorkerActivity {
  const isWhole = what === "activity";
  return {
    worker: workerId,
    workerPid: process.pid,
    startedAt,
    clientsServed: listener.clientsServed,
    clients: isWhole ? listener.clientRows() : [],
    connections: isWhole ? connectionRows() : [],
    statistics,
  };
}

/** A place that is left for a moment only must not cost a connection: those are closed by `tick`. */
function placesTold(message: PlacesToWorker): void {
  listener.placesTold(message);
  pool.resize(Math.max(pool.connectionsMax, connectionsFor(listener.placesCount)));
}

/** Places move between workers, and with them the right to keep connections. */
function connectionsFor(places: number): number {
  return Math.max(1, config.max_pool) * places;
}

/** What sessions say. */
function report(message: FromWorker): void {
  if (message.type === "backend-error") standbys.suspect(message.backendId);
  tell(message);
}

function tell(message: FromWorker): void {
  if (process.connected) process.send?.(message);
}

/** As whom this node itself asks servers something. */
function ownLogin(): OwnLogin {
  const { sr_check_user, sr_check_password, sr_check_database: database } = settings.config;
  const user = sr_check_user === "" ? "postgres" : sr_check_user;
  const secret = ownPassword(settings.config, user, sr_check_password);
  return { user, database, secret: secret.isEmpty ? null : { kind: "text", secret } };
}

/** As whom a server is asked whether it lives. */
function checkLogin(): { readonly user: string; readonly database: string } {
  const { sr_check_user: user, sr_check_database: database } = settings.config;
  return { user: user === "" ? "postgres" : user, database };
}

function holdLimits(of: Config): HoldLimits {
  // How long leases last is fixed at start.
  return { withoutLeaseMs: 2 * config.wd_lease_time, withoutPrimaryMs: of.failover_hold_timeout };
}

function workersOf(own: Config): number {
  return own.num_workers === 0 ? availableParallelism() : own.num_workers;
}
