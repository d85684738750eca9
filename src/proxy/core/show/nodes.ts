import {
  NO_CHECKS,
  roleOf,
  STATISTIC,
  statisticOf,
  type BackendView,
  type ClusterView,
  type NodeActivity,
} from "../../../wire/ipc/index.ts";
import type { Compat } from "./columns.ts";

/** What rows about backends are made of. */
export interface NodeData {
  readonly view: ClusterView;
  /** This session's. */
  readonly loadBalanceNode: number | null;
  /** Milliseconds since 1970 -> `YYYY-MM-DD HH:MM:SS`, local time. */
  readonly formatTime: (wallMs: number) => string;
  /** Null when it cannot be had. */
  readonly activity: NodeActivity | null;
}

/** As SHOW names them. */
export function statusOf(backend: BackendView): string {
  return backend.quarantined ? "quarantine" : backend.state;
}

/** SHOW POOL_NODES. Without the counts of this moment those of a second ago are told. */
export function nodeRows(data: NodeData & { readonly compat: Compat }): readonly string[][] {
  const { view, loadBalanceNode, formatTime, activity, compat } = data;
  return view.backends.map((backend) => [
    String(backend.id),
    backend.hostname,
    String(backend.port),
    statusOf(backend),
    backend.pgStatus,
    backend.weight.toFixed(6),
    roleOf(view, backend.id),
    backend.pgRole,
    String(
      activity === null
        ? backend.selectCount
        : statisticOf(activity.statistics, backend.id, STATISTIC.select),
    ),
    String(backend.id === loadBalanceNode),
    delayText(view, backend, compat),
    backend.replicationState,
    backend.replicationSyncState,
    formatTime(backend.stateChangedAt),
  ]);
}

/** SHOW POOL_BACKEND_STATS. */
export function backendStatsRows(
  { view }: NodeData,
  { statistics }: NodeActivity,
): readonly string[][] {
  return view.backends.map((backend) => [
    String(backend.id),
    backend.hostname,
    String(backend.port),
    statusOf(backend),
    roleOf(view, backend.id),
    ...Object.values(STATISTIC).map((which) => String(statisticOf(statistics, backend.id, which))),
  ]);
}

/**
 * SHOW POOL_HEALTH_CHECK_STATS, and the fields of pcp_health_check_stats. Averages are 0 before the
 * first check, where Pgpool-II prints that it has divided by zero.
 */
export function healthStatsRows(data: NodeData, { health }: NodeActivity): readonly string[][] {
  const { view, formatTime } = data;
  const at = (wallMs: number | null): string => (wallMs === null ? "" : formatTime(wallMs));
  return view.backends.map((backend) => {
    const one = health.find(({ backendId }) => backendId === backend.id) ?? NO_CHECKS;
    const timed = one.succeeded + one.failed;
    const average = (sum: number): string => (timed === 0 ? 0 : sum / timed).toFixed(6);
    return [
      String(backend.id),
      backend.hostname,
      String(backend.port),
      statusOf(backend),
      roleOf(view, backend.id),
      formatTime(backend.stateChangedAt),
      String(one.total),
      String(one.succeeded),
      String(one.failed),
      String(one.skipped),
      String(one.retries),
      average(one.retries),
      String(one.retriesMax),
      String(one.durationMax),
      String(one.durationMin),
      average(one.durationSum),
      at(one.lastAt),
      at(one.lastSucceededAt),
      at(one.lastSkippedAt),
      at(one.lastFailedAt),
    ];
  });
}

/** Bytes, or since 4.4 where delay_threshold_by_time is set `0.012000 second`. */
function delayText(view: ClusterView, backend: BackendView, compat: Compat): string {
  const isPrimary = backend.id === view.primaryId;
  if (!view.delayIsTime || compat === "4.3") {
    return String(isPrimary ? 0 : backend.replicationDelayBytes);
  }
  const seconds = isPrimary ? 0 : backend.replicationDelayMs / 1000;
  return `${seconds.toFixed(6)} ${seconds < 2 ? "second" : "seconds"}`;
}
