/**
 * Part of the supervisor's root: a node as its administrators see it. Joins what the parts of the
 * node know; keeps nothing itself.
 */
import { VERSION, type Result } from "../base/index.ts";
import type { ClusterState } from "../backend/index.ts";
import type { Config } from "../config/index.ts";
import { monotonicNowMs } from "../os/index.ts";
import { watchdogViewAt } from "../pcp/core/index.ts";
import type {
  ActivityName,
  ClientRow,
  ClusterRequest,
  ClusterView,
  NodeActivity,
  NodeHistory,
  NodeList,
  NodeStatus,
  QueueRow,
  RecoveryReport,
  RouteItem,
  RouteQuestion,
  SwitchoverNews,
  SwitchoverReport,
  WatchdogView,
} from "../wire/ipc/index.ts";
import type { AdminNode } from "./admin.ts";
import type { BackendCare } from "./backend-care.ts";
import type { ClusterRequests } from "./cluster-requests.ts";
import type { BackendPauses } from "./driver/backend-pauses.ts";
import type { Workers } from "./driver/workers.ts";
import { replicationLogin } from "./failover-settings.ts";
import { beginRecovery, recover, recoveryReport, type RecoverySite } from "./recovery.ts";
import { refusalIn, reportOnSwitchover } from "./switchover.ts";
import type { WatchdogStanding } from "./watchdog-standing.ts";

export interface AdminDeskParts {
  readonly config: () => Config;
  readonly care: BackendCare;
  readonly workers: Workers;
  readonly pauses: BackendPauses;
  readonly standing: WatchdogStanding;
  readonly requests: ClusterRequests;
  readonly watchdogPid: () => number | null;
  /** For clients; fixed at start. */
  readonly placesMax: number;
  readonly isStopping: () => boolean;
  readonly stop: (mode: "smart" | "fast") => void;
  readonly reload: () => void;
}

export class AdminDesk implements AdminNode {
  readonly #parts: AdminDeskParts;
  readonly #startedAt = Date.now();

  constructor(parts: AdminDeskParts) {
    this.#parts = parts;
  }

  get config(): Config {
    return this.#parts.config();
  }

  get view(): ClusterView {
    return this.#parts.care.view;
  }

  get watchdogView(): WatchdogView | null {
    return this.#parts.standing.view;
  }

  get workerPids(): readonly number[] {
    return this.#parts.workers.pids;
  }

  get pauses(): BackendPauses {
    return this.#parts.pauses;
  }

  stop(mode: "smart" | "fast"): void {
    this.#parts.stop(mode);
  }

  reload(): void {
    this.#parts.reload();
  }

  status(): NodeStatus {
    const { config, watchdogView: watchdog } = this;
    const { care, workers, watchdogPid } = this.#parts;
    const own = config.nodes.find((node) => node.id === config.nodeId);
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
        watchdog: watchdogPid(),
        guardian: watchdog?.guardianPid ?? null,
        workers: workers.pids,
      },
      workers: { restarts: workers.restartsCount },
      clients: this.#clients(),
      watchdog,
      view: care.view,
      cluster: { ...clusterSummary(care.cluster), primaryProblem: care.primaryProblem },
      quarantines: care.quarantines,
      pauses: this.pauses.status,
    };
  }

  /** The workers speak at different moments: a client that left one may be in another already. */
  #clients(): NodeStatus["clients"] {
    const { workers, placesMax } = this.#parts;
    const { clients, ...rest } = workers.clients;
    return { ...rest, clients: Math.min(clients, placesMax), placesMax };
  }

  history(): NodeHistory {
    return this.#parts.care.history;
  }

  async listClients(): Promise<NodeList<ClientRow>> {
    return await this.#parts.workers.listClients();
  }

  async listQueues(): Promise<NodeList<QueueRow>> {
    return await this.#parts.workers.listQueues();
  }

  async activity(what: ActivityName): Promise<NodeActivity> {
    return await this.#parts.workers.activity(what);
  }

  async explainRoute(question: RouteQuestion): Promise<readonly RouteItem[] | null> {
    return await this.#parts.workers.explainRoute(question);
  }

  async request(request: ClusterRequest): Promise<Result<void, string>> {
    return await this.#parts.requests.ask(request);
  }

  async reportOnSwitchover(to: number | null): Promise<SwitchoverReport> {
    return await this.#reportOnSwitchover(to, "check");
  }

  /** Why this server cannot take over now; null when it can, and all is ready for it. */
  async prepareSwitchover(to: number): Promise<string | null> {
    return refusalIn(await this.#reportOnSwitchover(to, "prepare"));
  }

  async #reportOnSwitchover(
    to: number | null,
    tries: "check" | "prepare",
  ): Promise<SwitchoverReport> {
    const { config, watchdogView: watchdog } = this;
    return await reportOnSwitchover({
      config,
      view: this.view,
      cluster: clusterSummary(this.#parts.care.cluster),
      watchdog: watchdog === null ? null : watchdogViewAt(watchdog, monotonicNowMs()),
      login: replicationLogin(config),
      tries,
      to,
    });
  }

  switchoverNews(id: string): SwitchoverNews {
    return this.#parts.care.switchoverNews(id);
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
    const { config } = this;
    const { care, isStopping } = this.#parts;
    return {
      config,
      get cluster() {
        return care.cluster;
      },
      login: replicationLogin(config),
      get isStopping() {
        return isStopping();
      },
      request: async (request) => await this.request(request),
    };
  }
}

/** What the state of the cluster says beside the view that workers route by. */
function clusterSummary(cluster: ClusterState | null): NonNullable<NodeStatus["cluster"]> {
  const intent = cluster?.intent ?? null;
  const last = cluster?.history.at(-1);
  const set = cluster?.synchronous ?? null;
  const isWithout = cluster?.primaryId === null && last?.outcome === "failed";
  return {
    failure: isWithout ? last.problem : null,
    epoch: cluster?.epoch ?? 0,
    intent: intent === null ? null : `${intent.kind} of node ${intent.backendIds.join(", ")}`,
    followingIds: cluster?.follow?.remainingIds ?? [],
    recovery: cluster?.recovery ?? null,
    ...(set === null ? {} : { synchronous: { rule: set.rule, backendIds: set.syncIds } }),
  };
}
