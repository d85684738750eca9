/**
 * Part of the supervisor's root: one running node. Joins the cluster's state, the care for the
 * backends, the workers and the administrators; decides nothing itself.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fail, succeed, unreachable, VERSION, type Ms, type Result } from "../base/index.ts";
import {
  formatFindings,
  notActingYet,
  reloadChanges,
  withoutMeaning,
  type Config,
} from "../config/index.ts";
import {
  configEnvironment,
  CoreRunner,
  loadProcessConfig,
  logOptionsFor,
  monotonicNowMs,
  prepareUnixSocketPath,
  type ConfigFilePaths,
  type Log,
  type OpenLog,
} from "../os/index.ts";
import {
  LEASE_FOR_EVER_MS,
  type ClientRow,
  type ClusterRequest,
  type ClusterView,
  type FromWatchdog,
  type ActivityName,
  type NodeActivity,
  type NodeHistory,
  type NodeList,
  type NodeStatus,
  type QueueRow,
  type RecoveryReport,
  type RouteItem,
  type RouteQuestion,
  type SwitchoverNews,
  type SwitchoverReport,
  type WatchdogView,
} from "../wire/ipc/index.ts";
import { viewOfDeadWatchdog, watchdogViewAt } from "../pcp/core/index.ts";
import { startAdminServers, type AdminServers } from "./admin.ts";
import type { Disagreement } from "../backend/index.ts";
import { BackendCare } from "./backend-care.ts";
import {
  appliedViews,
  NOTHING_APPLIED,
  type AppliedViewsAction,
  type AppliedViewsEvent,
  type AppliedViewsState,
} from "./core/applied-views.ts";
import { BackendPauses } from "./driver/backend-pauses.ts";
import { LoneLink, WatchdogLink, type ClusterLink } from "./driver/cluster-link.ts";
import { ClientDoors } from "./driver/client-doors.ts";
import { beginRecovery, recover, recoveryReport, type RecoverySite } from "./recovery.ts";
import { refusalIn, reportOnSwitchover } from "./switchover.ts";
import { Workers, type WorkersOptions } from "./driver/workers.ts";

export interface NodeOptions {
  readonly paths: ConfigFilePaths;
  readonly config: Config;
  readonly log: OpenLog;
  readonly debug: boolean;
  readonly discardStatus: boolean;
  /** The node has ended of itself or was told to; `problem` is null when all is well. */
  readonly onEnd: (problem: string | null) => void;
}

/** An answer that does not come is a request that goes on: the administrator is told so. */
const VERDICT_WAIT_MS: Ms = 400;

export class Node {
  /** Statements of clients held while something is done to a backend. */
  readonly pauses: BackendPauses;
  #config: Config;
  readonly #options: NodeOptions;
  readonly #log: Log;
  readonly #env: Readonly<Record<string, string>>;
  readonly #care: BackendCare;
  readonly #link: ClusterLink;
  readonly #workers: Workers;
  /** For clients; their number is fixed at start. */
  readonly #places: WorkersOptions["places"];
  /** Which workers route by the newest state, and until when. */
  readonly #views: CoreRunner<AppliedViewsState, AppliedViewsEvent, AppliedViewsAction>;
  readonly #startedAt = Date.now();
  #admin: AdminServers | null = null;
  #watchdogView: WatchdogView | null = null;
  /** The VIP, while clients may be connected by it. */
  #heldVip: string | null = null;
  /** Why the watchdog, which did run, cannot be started again. */
  #watchdogProblem: string | null = null;
  #hasWatchdogRun = false;
  #quorumLostAtMs: Ms | null = null;
  #stopping: "smart" | "fast" | null = null;
  #problem: string | null = null;
  #onWatchdogStarted: () => void = () => undefined;
  /** It has its sockets; one that cannot get them ends the node. */
  readonly #watchdogStarted: Promise<void>;
  #refusedVotes: ((request: ClusterRequest, why: string) => void)[] = [];
  #isPublishing = false;

  constructor(options: NodeOptions) {
    const { config, log } = options;
    this.#options = options;
    this.#config = config;
    this.#log = log;
    this.#env = configEnvironment(options.paths, options.debug);
    this.#quorumLostAtMs = config.use_watchdog ? monotonicNowMs() : null;
    this.#care = new BackendCare({
      config,
      log,
      discardStatus: options.discardStatus,
      propose: (id, afterIndex, value) => this.#link.propose(id, afterIndex, value),
      vote: (request) => this.#link.vote(request),
      refusal: () => this.#refusal(),
      onFitness: (unfit) => this.#link.fitness(unfit),
      onKilling: (isEnding) => this.#views.deliver({ type: "command-ending", isEnding }),
      onView: () => this.#publishSoon(),
      prepareSwitchover: async (to) => refusalIn(await this.#reportOnSwitchover(to, "prepare")),
    });
    this.#views = new CoreRunner<AppliedViewsState, AppliedViewsEvent, AppliedViewsAction>(
      appliedViews,
      {
        ...NOTHING_APPLIED,
        silentUntilMs: config.use_watchdog ? monotonicNowMs() + config.wd_lease_time : -Infinity,
      },
      { perform: (action) => this.#performOfViews(action) },
    );
    this.pauses = new BackendPauses({
      log,
      tellOne: (id, message) => this.#workers.tellOne(id, message),
    });
    this.#places = placesOf(config);
    this.#workers = new Workers({
      count: config.num_workers === 0 ? availableParallelism() : config.num_workers,
      places: this.#places,
      caps: {
        backend: config.max_backend_connections,
        database: config.max_db_connections,
        user: config.max_user_connections,
      },
      env: this.#env,
      log,
      view: () => this.#care.view,
      onBackendError: (error) => this.#care.onBackendError(error),
      onStatistics: (statistics) => this.#care.onStatistics(statistics),
      health: () => this.#care.healthRows,
      onJoined: (id) => {
        this.#views.deliver({ type: "worker-joined", id });
        this.pauses.workerJoined(id);
      },
      onApplied: (id, index) => this.#views.deliver({ type: "worker-applied", id, index }),
      onBackendPaused: (id, told) => this.pauses.workerTold(id, told),
      onLeft: (id) => {
        this.#views.deliver({ type: "worker-left", id });
        this.pauses.workerLeft(id);
      },
      onUnusable: (reason) => void this.stop("fast", reason),
    });
    const onMessage = (message: FromWatchdog): void => this.#onWatchdog(message);
    this.#watchdogStarted = new Promise((resolve) => {
      if (config.use_watchdog) this.#onWatchdogStarted = resolve;
      else resolve();
    });
    this.#link = config.use_watchdog
      ? new WatchdogLink(this.#env, log, onMessage)
      : new LoneLink(onMessage);
  }

  /** Resolves when clients and administrators are served. */
  async start(): Promise<Result<void, string>> {
    const config = this.#config;
    for (const directory of config.unix_socket_directories) {
      const path = join(directory, `.s.PGSQL.${config.port}`);
      const prepared = await prepareUnixSocketPath(path);
      if (!prepared.ok) return fail(`${prepared.error.message}\nHINT:  ${prepared.error.hint}`);
    }
    this.#care.start(!config.use_watchdog);
    if (!config.use_watchdog) {
      this.#views.deliver({ type: "confirmed", untilMs: LEASE_FOR_EVER_MS });
    }
    const admin = await startAdminServers(this, this.#log);
    if (!admin.ok) return fail(`${admin.error.message}\nHINT:  ${admin.error.hint}`);
    this.#admin = admin.value;
    this.#tellIgnored(config);
    const doors = await ClientDoors.open({
      config,
      log: this.#log,
      onClient: (client) => this.#workers.giveClient(client),
      wantedIo: process.env.PGQUORUM_IO,
    });
    if (!doors.ok) {
      const { message, hint } = doors.error;
      this.#log.write("fatal", message, { hint });
      return fail(`${message}\nHINT:  ${hint}`);
    }
    await Promise.all([this.#workers.start(doors.value), this.#watchdogStarted]);
    if (this.#stopping !== null) return fail(this.#problem ?? "stopped while starting");
    this.#log.write("log", `pgquorum ${VERSION} serves clients on port ${config.port}`);
    return succeed(undefined);
  }

  #tellIgnored(config: Config): void {
    const hint = "docs/compatibility.md says which parameters act.";
    const later = notActingYet(config);
    if (later.length > 0) {
      const message = `these parameters are set but do not act yet: ${later.join(", ")}`;
      this.#log.write("warning", message, { hint });
    }
    const never = withoutMeaning(config);
    if (never.length > 0) {
      const message = `these parameters are set but have no meaning here: ${never.join(", ")}`;
      this.#log.write("log", message, { hint });
    }
  }

  get config(): Config {
    return this.#config;
  }

  get view(): ClusterView {
    return this.#care.view;
  }

  get watchdogView(): WatchdogView | null {
    return this.#watchdogView;
  }

  get workerPids(): readonly number[] {
    return this.#workers.pids;
  }

  status(): NodeStatus {
    const config = this.#config;
    const own = config.nodes.find((node) => node.id === config.nodeId);
    const watchdog = this.#watchdogView;
    const loading = config.use_watchdog ? "LOADING" : "STANDALONE";
    return {
      version: VERSION,
      node: {
        id: config.nodeId,
        hostname: own?.hostname ?? "localhost",
        state: watchdog?.nodes[0]?.state ?? loading,
        startedAt: this.#startedAt,
        configFile: config.files.config,
        pgpoolPort: config.port,
      },
      pids: {
        supervisor: process.pid,
        watchdog: this.#link.pid,
        guardian: watchdog?.guardianPid ?? null,
        workers: this.#workers.pids,
      },
      workers: { restarts: this.#workers.restartsCount },
      clients: this.#clients(),
      watchdog,
      view: this.#care.view,
      cluster: this.#care.summary,
      quarantines: this.#care.quarantines,
      pauses: this.pauses.status,
    };
  }

  history(): NodeHistory {
    return this.#care.history;
  }

  async listClients(): Promise<NodeList<ClientRow>> {
    return await this.#workers.listClients();
  }

  async listQueues(): Promise<NodeList<QueueRow>> {
    return await this.#workers.listQueues();
  }

  async explainRoute(question: RouteQuestion): Promise<readonly RouteItem[] | null> {
    return await this.#workers.explainRoute(question);
  }

  async reportOnSwitchover(to: number | null): Promise<SwitchoverReport> {
    return await this.#reportOnSwitchover(to, "check");
  }

  switchoverNews(id: string): SwitchoverNews {
    return this.#care.switchoverNews(id);
  }

  async #reportOnSwitchover(
    to: number | null,
    tries: "check" | "prepare",
  ): Promise<SwitchoverReport> {
    const watchdog = this.#watchdogView;
    return await reportOnSwitchover({
      config: this.#config,
      view: this.#care.view,
      cluster: this.#care.summary,
      watchdog: watchdog === null ? null : watchdogViewAt(watchdog, monotonicNowMs()),
      login: this.#care.replicationLogin,
      tries,
      to,
    });
  }

  async beginRecovery(backendId: number, by: string): Promise<Result<string, string>> {
    return await beginRecovery(this.#recoverySite(), backendId, by);
  }

  async recoveryReport(eventId: string): Promise<RecoveryReport> {
    return await recoveryReport(this.#recoverySite(), eventId);
  }

  async recover(backendId: number, by: string): Promise<Result<void, string>> {
    return await recover(this.#recoverySite(), backendId, by);
  }

  #recoverySite(): RecoverySite {
    const care = this.#care;
    const isStopping = (): boolean => this.#stopping !== null;
    return {
      config: this.#config,
      get cluster() {
        return care.cluster;
      },
      login: care.replicationLogin,
      get isStopping() {
        return isStopping();
      },
      request: async (request) => await this.request(request),
    };
  }

  async activity(what: ActivityName): Promise<NodeActivity> {
    return await this.#workers.activity(what);
  }

  /** The workers speak at different moments: a client that left one may be in another already. */
  #clients(): NodeStatus["clients"] {
    const { clients, ...rest } = this.#workers.clients;
    const placesMax = this.#places.placesCount;
    return { ...rest, clients: Math.min(clients, placesMax), placesMax };
  }

  /**
   * Sends an administrator's wish to the leader. Errors: no such backend, a server that must not
   * be attached, or no quorum to decide it.
   */
  async request(request: ClusterRequest): Promise<Result<void, string>> {
    const isKnown = request.backendIds.every((id) =>
      this.#config.backends.some((b) => b.id === id),
    );
    if (!isKnown) return fail(`invalid node ID : ${request.backendIds.join(", ")}`);
    for (const id of request.kind === "attach" ? request.backendIds : []) {
      const why = await this.#care.whyNotAttach(id);
      if (why !== null) return fail(why);
    }
    return await new Promise((resolve) => {
      const refused = (which: ClusterRequest, why: string): void => {
        if (which.reason === request.reason && which.kind === request.kind) end(fail(why));
      };
      const timer = setTimeout(() => end(succeed(undefined)), VERDICT_WAIT_MS);
      const end = (outcome: Result<void, string>): void => {
        clearTimeout(timer);
        this.#refusedVotes = this.#refusedVotes.filter((other) => other !== refused);
        resolve(outcome);
      };
      this.#refusedVotes.push(refused);
      this.#link.vote(request);
    });
  }

  reload(): void {
    this.#log.write("log", "reload config files.");
    const { config, findings } = loadProcessConfig(this.#env);
    if (findings.length > 0) this.#log.write("warning", formatFindings(findings).trimEnd());
    if (config === null) {
      this.#log.write("warning", "the configuration has errors; the old one stays in force");
      return;
    }
    const changes = reloadChanges(this.#config, config);
    this.#config = changes.config;
    this.#options.log.change(logOptionsFor(changes.config, "main", this.#options.debug));
    if (changes.needsRestart.length > 0) {
      const names = changes.needsRestart.join(", ");
      this.#log.write("warning", `these changes wait for a restart: ${names}`);
    }
    this.#care.configure(changes.config);
    this.#workers.configure(placesOf(changes.config));
    this.#workers.tell({ type: "reload" });
    this.#link.reload();
  }

  /**
   * `smart` waits for the clients of this node's own addresses; those of the VIP could not get in
   * again while it stays here, so it moves at once. `fast` may follow it.
   *
   * @param problem why the node cannot go on; null when somebody asked for the stop.
   */
  async stop(mode: "smart" | "fast", problem: string | null = null): Promise<void> {
    if (this.#stopping === "fast" || this.#stopping === mode) return;
    this.#stopping = mode;
    this.#problem ??= problem;
    this.#log.write("log", `shutting down by ${mode} shutdown request`);
    if (mode === "smart") {
      this.#link.retire();
      await this.#workers.stop("smart");
      // Meanwhile somebody may have lost patience; then that stop ends the node.
      if (this.#stopping !== "smart") return;
      this.#stopping = "fast";
    }
    // A command of ours ends first; whoever leads meanwhile waits until we say that it has.
    await Promise.all([
      this.#workers.stop("fast"),
      this.#care.stop().then(() => this.#link.stop()),
    ]);
    this.#views.stop();
    this.pauses.stop();
    await this.#admin?.stop();
    this.#log.write("log", "the system is shut down");
    this.#options.onEnd(this.#problem);
  }

  #onWatchdog(message: FromWatchdog): void {
    switch (message.type) {
      case "ready":
        this.#hasWatchdogRun = true;
        this.#watchdogProblem = null;
        this.#onWatchdogStarted();
        this.#views.deliver({ type: "watchdog-started" });
        return;
      case "view":
        this.#onWatchdogView(message.view);
        return;
      case "committed":
        this.#onCommitted(message.index, message.value);
        return;
      case "confirmed":
        this.#care.onConfirmed(message.untilMs);
        this.#views.deliver(message);
        return;
      case "settled":
        this.#care.onSettled(message.index);
        return;
      case "proposal-refused":
        this.#care.onProposalRefused(message.id, message.reason);
        return;
      case "granted":
        this.#care.onGranted(message.request, message.votes);
        return;
      case "not-granted":
        this.#onNotGranted(message.request, message.why);
        return;
      case "died":
        if (this.#watchdogView !== null) {
          const view = viewOfDeadWatchdog(this.#watchdogView, this.#watchdogProblem);
          this.#onWatchdogView(view);
        }
        return;
      case "fatal":
        this.#onWatchdogRefused(message.message, message.hint);
        return;
      default:
        unreachable(message);
    }
  }

  /** Its workers leave the state of before at once; they are told of other changes in their time. */
  #onCommitted(index: number, value: unknown): void {
    this.#care.onCommitted(index, value);
    this.#publish();
    // A state that this version cannot read is never applied, so the node's lease ends.
    if (this.#care.view.index >= index) this.#views.deliver({ type: "committed", index });
  }

  /** A node that has never run tells whoever starts it; one that ran must not begin to flap. */
  #onWatchdogRefused(message: string, hint: string): void {
    this.#log.write("fatal", message, hint === "" ? {} : { hint });
    if (!this.#hasWatchdogRun) {
      void this.stop("fast", `${message}\nHINT:  ${hint}`);
      return;
    }
    this.#watchdogProblem = message;
    this.#log.write("warning", "this node refuses statements until its watchdog runs again");
  }

  #performOfViews(action: AppliedViewsAction): void {
    switch (action.type) {
      case "grant-lease":
        this.#workers.tellOne(action.id, { type: "lease", untilMs: action.untilMs });
        return;
      case "tell-applied":
        this.#link.applied(action.index);
        return;
      default:
        unreachable(action);
    }
  }

  #onWatchdogView(view: WatchdogView): void {
    this.#watchdogView = view;
    this.#followVip(view);
    if (view.hasQuorum) this.#quorumLostAtMs = null;
    else this.#quorumLostAtMs ??= monotonicNowMs();
    this.#care.onLeadership(view.isLeader && view.hasQuorum);
    this.#care.onWatchdogView(view);
    this.#publishSoon();
    if (!view.hasQuorum) setTimeout(() => this.#publishSoon(), this.#quorumGraceMs()).unref();
  }

  /** Sessions by an address that has left are of no use to anybody, and would hold up a stop. */
  #followVip(view: WatchdogView): void {
    if (view.holdsVip) this.#heldVip = view.vip;
    if (view.holdsVip || view.isLeader || this.#heldVip === null) return;
    this.#workers.tell({ type: "vip-left", address: this.#heldVip });
    this.#heldVip = null;
  }

  #onNotGranted(request: ClusterRequest, why: Disagreement): void {
    const text =
      why === "no-quorum" ? "the watchdog cluster has no leader with a quorum at the moment" : why;
    for (const refused of this.#refusedVotes.slice()) refused(request, text);
    if (!request.confirmed) this.#care.onNotGranted(request, why);
  }

  /**
   * A node that lost its quorum may hold a view from before a failover: it must not write to a
   * primary that the others have replaced.
   */
  #refusal(): string | null {
    if (this.#watchdogProblem !== null) {
      return `the watchdog of this pgquorum node cannot run: ${this.#watchdogProblem}`;
    }
    if (this.#quorumLostAtMs === null) return null;
    if (monotonicNowMs() - this.#quorumLostAtMs < this.#quorumGraceMs()) return null;
    return "this pgquorum node has lost the quorum of its watchdog cluster";
  }

  #quorumGraceMs(): Ms {
    return this.#config.wd_lease_time * 2;
  }

  /** Many changes come together; the workers are told once. */
  #publishSoon(): void {
    if (this.#isPublishing) return;
    this.#isPublishing = true;
    setTimeout(() => {
      this.#isPublishing = false;
      this.#publish();
    }, 1);
  }

  #publish(): void {
    this.#workers.tell({ type: "view", view: this.#care.refresh() });
  }
}

function placesOf(config: Config): WorkersOptions["places"] {
  const { num_init_children: most, reserved_connections: reserved, queue_max: own } = config;
  return {
    placesCount: most - reserved,
    mayWait: reserved === 0,
    queueMax: own === 0 ? most * config.listen_backlog_multiplier : own,
  };
}
