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
  firstClusterState,
  HistoryFile,
  historyFilePath,
  makeClusterView,
  NO_MARKS,
  NOTHING_SEEN,
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
  type LocalMarks,
} from "../backend/index.ts";
import type { BackendConfig, Config } from "../config/index.ts";
import type { Log } from "../os/index.ts";
import { whyNotAttach } from "./attach-check.ts";
import { Leadership } from "./driver/leadership.ts";
import { failoverRunnerSettings, replicationLogin } from "./failover-settings.ts";
import { HealthCare } from "./health-care.ts";
import { ReplicationCare } from "./replication-care.ts";
import { QuarantineCare } from "./quarantine-care.ts";
import {
  STATISTIC,
  statisticOf,
  type BackendView,
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
  readonly #leadership = new Leadership({
    onRight: (untilMs) => this.#failover?.mayLeadUntil(untilMs),
    onChange: (leads) => this.#failover?.deliver({ type: "leadership", leads, wallMs: Date.now() }),
  });
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
        if (!this.#leadership.leads) return;
        this.#failover?.deliver({ type: "synchronous-seen", primaryId, set });
      },
      onRenewed: (primaryId, identity) => {
        if (!this.#leadership.leads) return;
        this.#failover?.deliver({ type: "renewed", primaryId, identity });
      },
      leads: () => this.#leadership.leads,
      login: () => replicationLogin(this.#config),
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
      ...failoverRunnerSettings(this.#config),
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

  /** What is wrong with the primary, to which statements go all the same. */
  get primaryProblem(): BackendView["problem"] {
    const primaryId = this.#cluster?.primaryId ?? null;
    return primaryId === null ? null : this.#replication.problemOf(primaryId);
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
    this.#failover?.change(failoverRunnerSettings(config));
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
    this.#leadership.stop();
    await Promise.all([this.#failover?.stop(), this.#ready.stop()]);
    await this.#writing;
    await this.#history.close();
  }

  onLeadership(isLeader: boolean): void {
    this.#leadership.tell(isLeader);
  }

  /** The majority stands behind what this node is until then, by the monotonic clock. */
  onConfirmed(untilMs: Ms): void {
    this.#leadership.confirm(untilMs);
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

  /** See `whyNotAttach`. */
  async whyNotAttach(id: number): Promise<string | null> {
    return await whyNotAttach(id, this.#config, this.#view.primaryId, this.#cluster);
  }

  get quarantines(): NodeStatus["quarantines"] {
    return this.#quarantine.statusOf(this.#config.nodeId, this.#cluster);
  }

  onWatchdogView(view: WatchdogView): void {
    this.#quarantine.onWatchdog(view);
    this.#health.onWatchdog(view);
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
