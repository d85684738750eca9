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
  type ClusterRequest,
  type FromWatchdog,
  type WatchdogView,
} from "../wire/ipc/index.ts";
import { startAdminServers, type AdminServers } from "./admin.ts";
import type { Disagreement } from "../backend/index.ts";
import { AdminDesk } from "./admin-desk.ts";
import { BackendCare } from "./backend-care.ts";
import { ClusterRequests } from "./cluster-requests.ts";
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
import { Workers, type WorkersOptions } from "./driver/workers.ts";
import { WatchdogStanding } from "./watchdog-standing.ts";

export interface NodeOptions {
  readonly paths: ConfigFilePaths;
  readonly config: Config;
  readonly log: OpenLog;
  readonly debug: boolean;
  readonly discardStatus: boolean;
  /** The node has ended of itself or was told to; `problem` is null when all is well. */
  readonly onEnd: (problem: string | null) => void;
}

export class Node {
  #config: Config;
  readonly #options: NodeOptions;
  readonly #log: Log;
  readonly #env: Readonly<Record<string, string>>;
  readonly #care: BackendCare;
  readonly #link: ClusterLink;
  readonly #workers: Workers;
  /** Which workers route by the newest state, and until when. */
  readonly #views: CoreRunner<AppliedViewsState, AppliedViewsEvent, AppliedViewsAction>;
  #admin: AdminServers | null = null;
  readonly #standing: WatchdogStanding;
  readonly #requests: ClusterRequests;
  /** Statements of clients held while something is done to a backend. */
  readonly #pauses: BackendPauses;
  readonly #desk: AdminDesk;
  #stopping: "smart" | "fast" | null = null;
  #problem: string | null = null;
  #onWatchdogStarted: () => void = () => undefined;
  /** It has its sockets; one that cannot get them ends the node. */
  readonly #watchdogStarted: Promise<void>;
  #isPublishing = false;

  constructor(options: NodeOptions) {
    const { config, log } = options;
    this.#options = options;
    this.#config = config;
    this.#log = log;
    this.#env = configEnvironment(options.paths, options.debug);
    this.#standing = new WatchdogStanding(config.use_watchdog);
    this.#care = new BackendCare({
      config,
      log,
      discardStatus: options.discardStatus,
      propose: (id, afterIndex, value) => this.#link.propose(id, afterIndex, value),
      vote: (request) => this.#link.vote(request),
      refusal: () => this.#standing.refusal(this.#quorumGraceMs()),
      onFitness: (unfit) => this.#link.fitness(unfit),
      onKilling: (isEnding) => this.#views.deliver({ type: "command-ending", isEnding }),
      onView: () => this.#publishSoon(),
      prepareSwitchover: async (to) => await this.#desk.prepareSwitchover(to),
    });
    this.#requests = new ClusterRequests({
      config: () => this.#config,
      vote: (request) => this.#link.vote(request),
      whyNotAttach: async (id) => await this.#care.whyNotAttach(id),
    });
    this.#views = new CoreRunner<AppliedViewsState, AppliedViewsEvent, AppliedViewsAction>(
      appliedViews,
      {
        ...NOTHING_APPLIED,
        silentUntilMs: config.use_watchdog ? monotonicNowMs() + config.wd_lease_time : -Infinity,
      },
      { perform: (action) => this.#performOfViews(action) },
    );
    this.#pauses = new BackendPauses({
      log,
      tellOne: (id, message) => this.#workers.tellOne(id, message),
    });
    const places = placesOf(config);
    this.#workers = new Workers({
      count: config.num_workers === 0 ? availableParallelism() : config.num_workers,
      places,
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
        this.#pauses.workerJoined(id);
      },
      onApplied: (id, index) => this.#views.deliver({ type: "worker-applied", id, index }),
      onBackendPaused: (id, told) => this.#pauses.workerTold(id, told),
      onLeft: (id) => {
        this.#views.deliver({ type: "worker-left", id });
        this.#pauses.workerLeft(id);
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
    this.#desk = new AdminDesk({
      config: () => this.#config,
      care: this.#care,
      workers: this.#workers,
      pauses: this.#pauses,
      standing: this.#standing,
      requests: this.#requests,
      watchdogPid: () => this.#link.pid,
      placesMax: places.placesCount,
      isStopping: () => this.#stopping !== null,
      stop: (mode) => void this.stop(mode),
      reload: () => this.reload(),
    });
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
    const admin = await startAdminServers(this.#desk, this.#log);
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
    this.#pauses.stop();
    await this.#admin?.stop();
    this.#log.write("log", "the system is shut down");
    this.#options.onEnd(this.#problem);
  }

  #onWatchdog(message: FromWatchdog): void {
    switch (message.type) {
      case "ready":
        this.#standing.onReady();
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
        if (this.#standing.viewWhenDead !== null) this.#onWatchdogView(this.#standing.viewWhenDead);
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
    if (!this.#standing.onRefused(message)) {
      void this.stop("fast", `${message}\nHINT:  ${hint}`);
      return;
    }
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
    const leftVip = this.#standing.onView(view);
    if (leftVip !== null) this.#workers.tell({ type: "vip-left", address: leftVip });
    this.#care.onLeadership(view.isLeader && view.hasQuorum);
    this.#care.onWatchdogView(view);
    this.#publishSoon();
    if (!view.hasQuorum) setTimeout(() => this.#publishSoon(), this.#quorumGraceMs()).unref();
  }

  #onNotGranted(request: ClusterRequest, why: Disagreement): void {
    const text =
      why === "no-quorum" ? "the watchdog cluster has no leader with a quorum at the moment" : why;
    this.#requests.onRefused(request, text);
    if (!request.confirmed) this.#care.onNotGranted(request, why);
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
