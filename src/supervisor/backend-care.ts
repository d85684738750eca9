/**
 * Part of the supervisor's root: how this node looks after its backends. Health checks ask for
 * failovers, committed states and checks make the view that the workers route by.
 */
import { randomBytes } from "node:crypto";
import type { Ms } from "../base/index.ts";
import {
  decodeClusterState,
  DelayCommand,
  ReadyCommands,
  failoverSettings,
  firstClusterState,
  HistoryFile,
  historyFilePath,
  makeClusterView,
  NO_MARKS,
  NOTHING_SEEN,
  probeBackend,
  readStatusFile,
  startFailoverRunner,
  statusFilePath,
  switchoverNews,
  withMarks,
  writeStatusFile,
  type BackendSeen,
  type ClusterState,
  type Disagreement,
  type FailoverRunner,
  type FailoverRunnerOptions,
  type FailoverRunnerSettings,
  type LocalMarks,
} from "../backend/index.ts";
import type { BackendConfig, Config } from "../config/index.ts";
import { monotonicNowMs, ownPassword, type Log } from "../os/index.ts";
import { HealthCare } from "./health-care.ts";
import { ReplicationCare } from "./replication-care.ts";
import { QuarantineCare } from "./quarantine-care.ts";
import {
  STATISTIC,
  statisticOf,
  type ClusterRequest,
  type ClusterView,
  type CountedVote,
  type FromWorker,
  type HealthRow,
  type Maintenance,
  type NodeHistory,
  type NodeStatus,
  type SwitchoverNews,
  type WatchdogView,
} from "../wire/ipc/index.ts";

export interface BackendCareOptions {
  readonly config: Config;
  readonly log: Log;
  readonly discardStatus: boolean;
  readonly propose: (id: number, afterIndex: number, value: unknown) => void;
  readonly vote: (request: ClusterRequest) => void;
  /** Why clients must not be served at the moment; null when they may. */
  readonly refusal: () => string | null;
  /** Why this server cannot take over now; null when it can, and all is ready for it. */
  readonly prepareSwitchover: (targetId: number) => Promise<string | null>;
  /** Commands of a lost leadership were killed and have not ended, or all of them have. */
  readonly onKilling: (isKilling: boolean) => void;
  /** Why another node should lead; null when this one may. */
  readonly onFitness: (unfit: string | null) => void;
  /** Something that the view shows has changed. */
  readonly onView: () => void;
}

const ATTACH_PROBE_MS: Ms = 5000;

export class BackendCare {
  readonly #options: BackendCareOptions;
  readonly #log: Log;
  #config: Config;
  readonly #health: HealthCare;
  readonly #quarantine: QuarantineCare;
  #seen = new Map<number, BackendSeen>();
  #selectCounts = new Map<number, number>();
  #marks: LocalMarks = NO_MARKS;
  readonly #initial: ClusterState;
  /** The newest committed state; null before the first. */
  #cluster: ClusterState | null = null;
  /** Of that state. */
  #index = 0;
  #failover: FailoverRunner | null = null;
  /** The watchdog said so last. */
  #isLeader = false;
  /** Until when the majority stands behind what this node is; a frozen watchdog does not say more. */
  #leadUntilMs: Ms = -Infinity;
  #leadTimer: NodeJS.Timeout | null = null;
  #leads = false;
  readonly #replication: ReplicationCare;
  readonly #delayCommand: DelayCommand;
  readonly #history: HistoryFile;
  readonly #ready: ReadyCommands;
  #writing: Promise<void> = Promise.resolve();
  #view: ClusterView;

  constructor(options: BackendCareOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#log = options.log;
    this.#delayCommand = new DelayCommand(options.log);
    this.#ready = new ReadyCommands(options.log);
    const { work_dir, nodeId } = options.config;
    this.#history = new HistoryFile(historyFilePath(work_dir, nodeId), options.log);
    const path = statusFilePath(work_dir);
    const downIds = options.discardStatus ? new Set<number>() : readStatusFile(path, options.log);
    const ids = options.config.backends.map((backend) => backend.id);
    this.#initial = firstClusterState(ids, downIds, Date.now());
    this.#replication = new ReplicationCare(options.config, {
      log: options.log,
      cluster: () => withMarks(this.#cluster ?? this.#initial, this.#marks),
      request: (request) => this.onGranted(request),
      onSynchronous: (primaryId, set) => {
        if (this.#leads) this.#failover?.deliver({ type: "synchronous-seen", primaryId, set });
      },
      leads: () => this.#leads,
      login: () => this.replicationLogin,
      onBegin: () => void this.#askForDelays(),
      onLook: () => this.#onReplicationLook(),
      onLost: (id, failure) => this.#health.onConnectionLost(id, failure),
    });
    this.#health = new HealthCare({
      config: options.config,
      log: options.log,
      onDown: (backend, reason) => this.#askForDetach(backend, reason),
      onAnswer: (id, pgStatus) => this.#onAnswer(id, pgStatus),
      onNotReady: (id) => this.#replication.letGo(id),
    });
    this.#quarantine = new QuarantineCare({
      config: options.config,
      log: options.log,
      onMarks: () => this.#onQuarantine(),
      onHurry: (id) => this.#health.askAnew(id),
      onRequest: options.vote,
      onFitness: options.onFitness,
    });
    this.#view = this.#makeView();
  }

  /** @param isLone there is no watchdog: this node decides alone. */
  start(isLone: boolean): void {
    this.#failover = startFailoverRunner({
      ...this.#failoverSettings(),
      origin: randomBytes(8).toString("hex"),
      initial: this.#initial,
      log: this.#log,
      propose: ({ id, afterIndex, state }) => this.#options.propose(id, afterIndex, state),
      onKilling: this.#options.onKilling,
      prepareSwitchover: this.#options.prepareSwitchover,
    });
    this.#health.start();
    this.#tellStandings();
    this.#replication.start(this.#config);
    this.#keepReady();
    if (!isLone) return;
    this.#failover.deliver({ type: "committed", index: 0, state: null });
    this.onConfirmed(Infinity);
    this.onLeadership(true);
  }

  get view(): ClusterView {
    return this.#view;
  }

  get history(): NodeHistory {
    return { entries: this.#history.read(), running: this.#cluster?.intent ?? null };
  }

  get summary(): NonNullable<NodeStatus["cluster"]> {
    const intent = this.#cluster?.intent ?? null;
    const last = this.#cluster?.history.at(-1);
    const set = this.#cluster?.synchronous ?? null;
    const isWithout = this.#cluster?.primaryId === null && last?.outcome === "failed";
    return {
      failure: isWithout ? last.problem : null,
      epoch: this.#cluster?.epoch ?? 0,
      intent: intent === null ? null : `${intent.kind} of node ${intent.backendIds.join(", ")}`,
      followingIds: this.#cluster?.follow?.remainingIds ?? [],
      recovery: this.#cluster?.recovery ?? null,
      ...(set === null ? {} : { synchronous: { rule: set.rule, backendIds: set.syncIds } }),
    };
  }

  /** The newest state that the cluster agreed upon; null before the first. */
  get cluster(): ClusterState | null {
    return this.#cluster;
  }

  switchoverNews(id: string): SwitchoverNews {
    return switchoverNews(id, this.#cluster, this.#failover?.state ?? null);
  }

  /** Makes the view anew from all that is known now. */
  refresh(): ClusterView {
    this.#view = this.#makeView();
    return this.#view;
  }

  configure(config: Config): void {
    this.#config = config;
    this.#failover?.change(this.#failoverSettings());
    this.#health.configure(config);
    this.#quarantine.configure(config);
    this.#tellStandings();
    this.#replication.start(config);
    this.#keepReady();
    this.#options.onView();
  }

  /** For all servers, also those that are lost: they come back. */
  #keepReady(): void {
    const { failover_ready_command: template, backends } = this.#config;
    this.#ready.keep(
      template,
      backends.filter(({ mayFailover }) => mayFailover),
    );
  }

  /** Resolves when nothing is done for the backends any more, and no command runs. */
  async stop(): Promise<void> {
    this.#health.stop();
    this.#replication.stop();
    this.#quarantine.stop();
    this.#delayCommand.stop();
    if (this.#leadTimer !== null) clearTimeout(this.#leadTimer);
    await Promise.all([this.#failover?.stop(), this.#ready.stop()]);
    await this.#writing;
    await this.#history.close();
  }

  onLeadership(isLeader: boolean): void {
    this.#isLeader = isLeader;
    this.#lead();
  }

  /** The majority stands behind what this node is until then, by the monotonic clock. */
  onConfirmed(untilMs: Ms): void {
    this.#leadUntilMs = Math.max(this.#leadUntilMs, untilMs);
    this.#lead();
  }

  /** Without news this node leads no longer than its lease, whatever it was told before. */
  #lead(): void {
    const leftMs = this.#leadUntilMs - monotonicNowMs();
    const leads = this.#isLeader && leftMs > 0;
    if (this.#leadTimer !== null) clearTimeout(this.#leadTimer);
    this.#leadTimer = leads && leftMs !== Infinity ? setTimeout(() => this.#lead(), leftMs) : null;
    if (leads) this.#failover?.mayLeadUntil(this.#leadUntilMs);
    if (leads === this.#leads) return;
    this.#leads = leads;
    this.#failover?.deliver({ type: "leadership", leads, wallMs: Date.now() });
  }

  onCommitted(index: number, value: unknown): void {
    const state = value === null ? null : this.#decode(value);
    if (value !== null && state === null) return;
    this.#failover?.deliver({ type: "committed", index, state });
    this.#index = index;
    if (state === null) return;
    this.#tellMaintenance(this.#cluster?.maintenance ?? null, state.maintenance);
    this.#cluster = state;
    this.#replication.onCommitted(state);
    this.#quarantine.agreed(state);
    this.#tellStandings();
    const path = statusFilePath(this.#config.work_dir);
    this.#writing = this.#writing.then(() => writeStatusFile(path, state, this.#log));
    this.#history.record(state);
    this.#options.onView();
  }

  #tellMaintenance(before: Maintenance | null, now: Maintenance | null): void {
    if ((before === null) === (now === null)) return;
    const by = now === null || now.by === "" ? "" : ` by ${now.by}`;
    const detail = now === null || now.reason === "" ? {} : { detail: now.reason };
    const what = now === null ? "is over" : `has begun${by}: no automatic failover`;
    this.#log.write("log", `maintenance ${what}`, detail);
  }

  /** No node routes by a state older than that of this index. */
  onSettled(index: number): void {
    this.#failover?.deliver({ type: "settled", index });
  }

  onProposalRefused(id: number, reason: string): void {
    this.#failover?.deliver({ type: "proposal-refused", id, reason });
  }

  onGranted(request: ClusterRequest, votes: readonly CountedVote[] = []): void {
    this.#failover?.deliver({ type: "granted", request, votes, wallMs: Date.now() });
  }

  /** The cluster did not agree, so this node keeps away from the backend by itself. */
  onNotGranted(request: ClusterRequest, why: Disagreement): void {
    if (request.kind === "detach") this.#quarantine.refused(request, why);
  }

  /**
   * Why a server must not be attached; null when nothing speaks against it. Reads sent to a
   * primary that was overtaken would see what has become of nobody's data.
   *
   * Different from Pgpool-II, which attaches whatever it is told to.
   */
  async whyNotAttach(id: number): Promise<string | null> {
    const config = this.#config;
    const server = config.backends.find((backend) => backend.id === id);
    const { primaryId } = this.#view;
    const isStreaming = config.backend_clustering_mode === "streaming_replication";
    if (server === undefined || primaryId === null || primaryId === id || !isStreaming) return null;
    const { hostname, port } = server;
    const answer = await probeBackend({
      hostname,
      port,
      ...this.replicationLogin,
      connectTimeoutMs: config.connect_timeout,
      timeoutMs: ATTACH_PROBE_MS,
      ask: "role",
    });
    if (!answer.ok) return null; // The health check finds out soon, as in Pgpool-II.
    const { isInRecovery, identity } = answer.value;
    const known = this.#cluster?.identity?.systemIdentifier;
    if (identity !== null && known !== undefined && identity.systemIdentifier !== known) {
      return `backend node ${id} is of another database cluster than the primary, node ${primaryId}`;
    }
    if (isInRecovery !== false) return null;
    return `backend node ${id} is a primary of its own beside node ${primaryId}: make it a standby first`;
  }

  get quarantines(): NodeStatus["quarantines"] {
    return this.#quarantine.statusOf(this.#config.nodeId, this.#cluster);
  }

  onWatchdogView(view: WatchdogView): void {
    this.#quarantine.onWatchdog(view);
  }

  onBackendError(error: FromWorker & { readonly type: "backend-error" }): void {
    this.#health.onBackendError(error);
  }

  get healthRows(): readonly HealthRow[] {
    return this.#health.rows;
  }

  onStatistics(statistics: readonly number[]): void {
    const ids = this.#config.backends.map(({ id }) => id);
    const selects = (id: number): number => statisticOf(statistics, id, STATISTIC.select);
    this.#selectCounts = new Map(ids.map((id) => [id, selects(id)]));
    this.#options.onView();
  }

  #decode(value: unknown): ClusterState | null {
    const decoded = decodeClusterState(value);
    if (decoded.ok) return decoded.value;
    this.#log.write("error", `the cluster's state cannot be read: ${decoded.error}`, {
      hint: "Run the same version of pgquorum on all nodes.",
    });
    return null;
  }

  #askForDetach(backend: BackendConfig, reason: string): void {
    if (!backend.mayFailover) return;
    const { id } = backend;
    if (!this.#marks.quarantinedIds.has(id)) {
      this.#log.write("log", `received degenerate backend request for node_id: ${id}`, {
        detail: reason,
      });
    }
    this.#options.vote({
      kind: "detach",
      backendIds: [id],
      confirmed: false,
      switchoverTo: null,
      reason,
    });
  }

  #onQuarantine(): void {
    this.#marks = { ...this.#marks, quarantinedIds: this.#quarantine.ids };
    this.#tellStandings();
    this.#options.onView();
  }

  #tellStandings(): void {
    const state = withMarks(this.#cluster ?? this.#initial, this.#marks);
    for (const { id, state: standing, quarantined } of state.backends) {
      const down = quarantined ? "quarantined" : "down";
      this.#health.setStanding(id, standing === "down" ? down : "live");
    }
  }

  #onAnswer(id: number, pgStatus: "up" | "down"): void {
    const before = this.#seen.get(id) ?? NOTHING_SEEN;
    const pgRole = pgStatus === "up" ? before.pgRole : "unknown";
    this.#seen.set(id, { ...before, pgStatus, pgRole });
    if (pgStatus === "up") {
      this.#markReached(id);
      this.#quarantine.answered(id);
    }
    if (before.pgStatus !== pgStatus) this.#options.onView();
  }

  /** Unlike Pgpool-II, which waits for a client: a server that let us log in is up. */
  #markReached(id: number): void {
    const backend = this.#cluster?.backends.find((other) => other.id === id);
    if (backend === undefined || this.#marks.reached.get(id) === backend.changedAt) return;
    const reached = new Map(this.#marks.reached).set(id, backend.changedAt);
    this.#marks = { ...this.#marks, reached };
    this.#options.onView();
  }

  #onReplicationLook(): void {
    for (const { id } of this.#config.backends) {
      const { pgStatus } = this.#seen.get(id) ?? NOTHING_SEEN;
      const facts = this.#replication.factsOf(id);
      const problem = this.#replication.problemOf(id);
      this.#seen.set(id, { ...NOTHING_SEEN, ...facts, pgStatus, problem });
    }
    this.#options.onView();
  }

  async #askForDelays(): Promise<void> {
    const { replication_delay_source_cmd: command, backends } = this.#config;
    const timeoutMs: Ms = this.#config.replication_delay_source_timeout * 1000;
    await this.#delayCommand.run({ command, timeoutMs, ids: backends.map(({ id }) => id) });
    if (command !== "") this.#options.onView();
  }

  /** `sr_check_user` and its kin. */
  get replicationLogin(): FailoverRunnerOptions["login"] {
    const { sr_check_user, sr_check_password, sr_check_database } = this.#config;
    return {
      user: sr_check_user,
      password: ownPassword(this.#config, sr_check_user, sr_check_password),
      database: sr_check_database,
    };
  }

  #failoverSettings(): FailoverRunnerSettings {
    const config = this.#config;
    const { recovery_user, recovery_password, recovery_database } = config;
    return {
      settings: failoverSettings(config),
      login: this.replicationLogin,
      connectTimeoutMs: config.connect_timeout,
      recovery: {
        method: config.recovery_method,
        login: {
          user: recovery_user,
          password: ownPassword(config, recovery_user, recovery_password),
          database: recovery_database,
        },
        firstStageCommand: config.recovery_1st_stage_command,
        timeoutMs: config.recovery_timeout * 1000,
        connectTimeoutMs: config.connect_timeout,
      },
    };
  }

  #makeView(): ClusterView {
    return makeClusterView({
      state: this.#cluster ?? this.#initial,
      index: this.#index,
      marks: this.#marks,
      backends: this.#config.backends,
      seen: this.#seen,
      toldDelays: this.#delayCommand.told,
      selectCounts: this.#selectCounts,
      refusal: this.#options.refusal(),
      isStreaming: this.#config.backend_clustering_mode === "streaming_replication",
      delayIsTime: this.#config.delay_threshold_by_time > 0,
    });
  }
}
