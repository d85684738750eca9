/**
 * Part of the supervisor's root: what administrators may ask of this node, over PCP and over the
 * control socket, joined to what the node can do.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { fail, succeed, type Ms, type Result } from "../base/index.ts";
import { liveBackends, showPoolStatus, type Config } from "../config/index.ts";
import { formatLocalTime, monotonicNowMs, readTextFile, type Log } from "../os/index.ts";
import { watchdogViewAt } from "../pcp/core/index.ts";
import {
  startControlServer,
  startPcpServer,
  type ControlServer,
  type PcpHandlers,
  type PcpServer,
} from "../pcp/driver/index.ts";
import {
  controlSocketPath,
  type ClientRow,
  type ClusterRequest,
  type ControlRequest,
  type ClusterView,
  type ActivityName,
  type Maintenance,
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
import type { BackendPauses } from "./driver/backend-pauses.ts";
import { healthStatsRows, maintenanceText, poolCells, poolRows } from "../proxy/core/show/index.ts";
import { loadingView } from "./core/loading-view.ts";
import {
  beginSwitchover,
  detachGracefully,
  maySwitchOver,
  promoteBySwitchover,
} from "./graceful.ts";

/** What the node offers to its administrators. */
export interface AdminNode {
  readonly config: Config;
  readonly view: ClusterView;
  readonly watchdogView: WatchdogView | null;
  readonly workerPids: readonly number[];
  readonly pauses: BackendPauses;
  status(): NodeStatus;
  history(): NodeHistory;
  listClients(): Promise<NodeList<ClientRow>>;
  listQueues(): Promise<NodeList<QueueRow>>;
  activity(what: ActivityName): Promise<NodeActivity>;
  explainRoute(question: RouteQuestion): Promise<readonly RouteItem[] | null>;
  reportOnSwitchover(to: number | null): Promise<SwitchoverReport>;
  switchoverNews(id: string): SwitchoverNews;
  request(request: ClusterRequest): Promise<Result<void, string>>;
  /** @returns its event id, when it has been asked for. */
  beginRecovery(backendId: number, by: string): Promise<Result<string, string>>;
  recoveryReport(eventId: string): Promise<RecoveryReport>;
  /** Resolves when it is over. */
  recover(backendId: number, by: string): Promise<Result<void, string>>;
  stop(mode: "smart" | "fast"): void;
  reload(): void;
}

export interface AdminServers {
  stop(): Promise<void>;
}

/** Errors: a PCP address, port or socket directory that cannot be used. */
export async function startAdminServers(
  node: AdminNode,
  log: Log,
): Promise<Result<AdminServers, { readonly message: string; readonly hint: string }>> {
  const { config } = node;
  const pcp = await startPcpServer({
    listen: {
      addresses: config.pcp_listen_addresses,
      port: config.pcp_port,
      socketDirectories: config.pcp_socket_dir,
    },
    layout: config.pgpool_compat_version,
    handlers: handlersOf(node),
    readPcpConf: () => readTextFile(config.files.pcp),
    authenticationTimeoutMs: config.authentication_timeout * 1000,
    log: log.named("pcp_child"),
  });
  if (!pcp.ok) return pcp;
  const control = await startControl(node, log);
  if (!control.ok) {
    await pcp.value.stop();
    return control;
  }
  return succeed(stopping(pcp.value, control.value));
}

function stopping(pcp: PcpServer, control: ControlServer | null): AdminServers {
  return {
    async stop() {
      await Promise.all([pcp.stop(), control?.stop()]);
    },
  };
}

async function startControl(
  node: AdminNode,
  log: Log,
): Promise<Result<ControlServer | null, { readonly message: string; readonly hint: string }>> {
  const directory = node.config.pcp_socket_dir[0];
  if (directory === undefined) return succeed(null);
  return await startControlServer({
    path: controlSocketPath(directory, node.config.pcp_port),
    handle: (request) => answer(node, request),
    log,
  });
}

/** Well within the time that the one who asks gives us. */
const DRAIN_ANSWER_MS: Ms = 2000;

async function answer(node: AdminNode, request: ControlRequest): Promise<Result<unknown, string>> {
  switch (request.command) {
    case "status":
      return succeed(statusAt(node.status(), monotonicNowMs()));
    case "nodes":
      return succeed(node.view);
    case "clients":
      return succeed(await node.listClients());
    case "queues":
      return succeed(await node.listQueues());
    case "explain-routing": {
      const items = await node.explainRoute(request.question);
      return items === null ? fail("no worker answered; see the log of the node") : succeed(items);
    }
    case "switchover-check":
      return succeed(await node.reportOnSwitchover(request.to));
    case "history":
      return succeed(node.history());
    case "maintenance":
      return await setMaintenance(node, request);
    case "switchover":
      return await beginSwitchover(node, request, "pgquorum switchover");
    case "switchover-news":
      return succeed(node.switchoverNews(request.id));
    case "recovery":
      return succeed(await node.recoveryReport(request.eventId));
    case "recover":
    case "pause":
    case "resume": {
      const { backendId } = request;
      if (!node.config.backends.some(({ id }) => id === backendId)) {
        const known = node.config.backends.map(({ id }) => id).join(", ");
        return fail(`there is no backend ${backendId}; the backends are ${known}`);
      }
      if (request.command === "recover") return await node.beginRecovery(backendId, request.by);
      if (request.command === "resume") return succeed(node.pauses.resume(backendId));
      const how = { by: "pgquorum pause", forMs: request.forMs, drainWithinMs: DRAIN_ANSWER_MS };
      return succeed(await node.pauses.pause(backendId, how));
    }
  }
}

/** The majority needs a few milliseconds; the one who asks gives us ten seconds. */
const AGREEMENT_MS: Ms = 5000;
const LOOK_EVERY_MS: Ms = 20;

async function setMaintenance(
  node: AdminNode,
  { isOn, reason, by }: Extract<ControlRequest, { readonly command: "maintenance" }>,
): Promise<Result<Maintenance | null, string>> {
  const { nodeId } = node.config;
  const where = nodeId === null ? "" : ` on node ${nodeId}`;
  const before = node.view.maintenance;
  if (!isOn && before === null) return succeed(null);
  const asked = await node.request({
    kind: isOn ? "maintenance-on" : "maintenance-off",
    backendIds: [],
    confirmed: true,
    switchoverTo: null,
    reason,
    by: `${by}${where}`,
  });
  if (!asked.ok) return asked;
  const isAgreed = (now: Maintenance | null): boolean =>
    isOn ? now !== null && now.reason === reason : now === null;
  const deadlineMs = monotonicNowMs() + AGREEMENT_MS;
  while (!isAgreed(node.view.maintenance)) {
    if (monotonicNowMs() > deadlineMs) {
      return fail('the cluster has not agreed yet; "pgquorum status" tells when it has');
    }
    await sleep(LOOK_EVERY_MS);
  }
  return succeed(node.view.maintenance);
}

function statusAt(status: NodeStatus, nowMs: Ms): NodeStatus {
  if (status.watchdog === null) return status;
  const watchdog = watchdogViewAt(status.watchdog, nowMs);
  const state = watchdog.nodes[0]?.state ?? status.node.state;
  return { ...status, watchdog, node: { ...status.node, state } };
}

function handlersOf(node: AdminNode): PcpHandlers {
  return {
    view: () => node.view,
    watchdog: () => {
      if (!node.config.use_watchdog) return null;
      return watchdogViewAt(node.watchdogView ?? loadingView(node.config), monotonicNowMs());
    },
    workerPids: () => node.workerPids,
    poolStatus: () =>
      showPoolStatus(node.config, node.config.pgpool_compat_version, {
        ...liveBackends(node.view.backends),
        maintenance: maintenanceText(node.view.maintenance, formatLocalTime),
      }),
    processInfo: async (processId) => {
      if (processId !== 0 && !node.workerPids.includes(processId)) return null;
      const data = {
        formatTime: formatLocalTime,
        nowMs: Date.now(),
        placesMax: node.config.num_init_children,
        idleSecondsMax: node.config.client_idle_limit,
      };
      return poolRows(await node.activity("activity"))
        .filter(({ worker }) => processId === 0 || worker.workerPid === processId)
        .map((row) => poolCells(row, data));
    },
    healthCheckStats: async (backendId) => {
      const activity = await node.activity("statistics");
      const data = {
        view: node.view,
        loadBalanceNode: null,
        formatTime: formatLocalTime,
        activity,
      };
      const at = node.view.backends.findIndex(({ id }) => id === backendId);
      return healthStatsRows(data, activity)[at] ?? null;
    },
    attach: async (id, user) =>
      await node.request(requestFor("attach", id, user, "pcp_attach_node")),
    recover: async (id, user) => await node.recover(id, askedBy(user, "pcp_recovery_node")),
    detach: async (id, { graceful, user }) => {
      const request = requestFor("detach", id, user, `pcp_detach_node${graceful ? " -g" : ""}`);
      return await (graceful ? detachGracefully(node, request) : node.request(request));
    },
    promote: async (id, { switchover, graceful, user }) => {
      if (switchover && maySwitchOver(node.config)) {
        const by = askedBy(user, `pcp_promote_node -s${graceful ? " -g" : ""}`);
        return await promoteBySwitchover(node, id, { isWaiting: graceful, by });
      }
      if (!switchover) {
        return await node.request(requestFor("promote", id, user, "pcp_promote_node"));
      }
      const { primaryId } = node.view;
      if (primaryId === null) return fail("there is no primary node to switch from");
      const request = requestFor("detach", primaryId, user, "pcp_promote_node -s");
      return await node.request({ ...request, switchoverTo: id });
    },
    stop: (mode, scope) => {
      if (scope === "cluster") return fail("stopping the whole cluster is not available yet");
      node.stop(mode === "smart" ? "smart" : "fast");
      return succeed(undefined);
    },
    reload: (scope) => {
      if (scope === "cluster") return fail("reloading the whole cluster is not available yet");
      node.reload();
      return succeed(undefined);
    },
  };
}

function requestFor(
  kind: ClusterRequest["kind"],
  backendId: number,
  user: string,
  reason: string,
): ClusterRequest {
  const by = askedBy(user, reason);
  return { kind, backendIds: [backendId], confirmed: true, switchoverTo: null, reason, by };
}

/** For the history. */
function askedBy(user: string, program: string): string {
  return `PCP user ${user} by ${program}`;
}
