import type { ClientRow } from "./clients.ts";

/**
 * What is counted for each backend: statements that were sent to it, by what they are, and errors
 * that it answered with. The counts of all backends stand in one array, those of backend N from
 * `N * STATISTICS_COUNT` on.
 */
export const STATISTIC = {
  select: 0,
  insert: 1,
  update: 2,
  delete: 3,
  ddl: 4,
  other: 5,
  panic: 6,
  fatal: 7,
  error: 8,
} as const;

export const STATISTICS_COUNT = 9;

/** One count of one backend; 0 when nothing was counted. */
export function statisticOf(
  statistics: readonly number[],
  backendId: number,
  statistic: number,
): number {
  return statistics[backendId * STATISTICS_COUNT + statistic] ?? 0;
}

/** A connection to a server, used by a session or kept for one. */
export interface ConnectionRow {
  readonly backendId: number;
  readonly user: string;
  readonly database: string;
  /** The server's. */
  readonly processId: number;
  /** Wall clock, milliseconds since 1970. */
  readonly openedAt: number;
  /** How often a session, or in transaction mode a transaction, took it. */
  readonly usedCount: number;
  /** When the last session with it ended, wall clock; null: none has, or it is used. */
  readonly leftAt: number | null;
}

/** `statistics` is the same without clients and connections, of which there may be thousands. */
export type ActivityName = "activity" | "statistics";

/** What one worker does, and has done since its start. */
export interface WorkerActivity {
  readonly worker: number;
  readonly workerPid: number;
  /** Wall clock. */
  readonly startedAt: number;
  readonly clientsServed: number;
  readonly clients: readonly ClientRow[];
  readonly connections: readonly ConnectionRow[];
  /** See STATISTIC. */
  readonly statistics: readonly number[];
}

/** The health checks of one backend since the node's start. Times are those of the wall clock. */
export interface HealthRow {
  readonly backendId: number;
  /** Successes, failures and skips. */
  readonly total: number;
  readonly succeeded: number;
  /** All attempts failed. */
  readonly failed: number;
  /** The backend was down already: nothing depended on it. */
  readonly skipped: number;
  readonly retries: number;
  /** In one check. */
  readonly retriesMax: number;
  /** Milliseconds, retries included; of those that were not skipped. */
  readonly durationMax: number;
  readonly durationMin: number;
  readonly durationSum: number;
  readonly lastAt: number | null;
  readonly lastSucceededAt: number | null;
  readonly lastSkippedAt: number | null;
  readonly lastFailedAt: number | null;
}

/** Of a backend that was never checked. */
export const NO_CHECKS: Omit<HealthRow, "backendId"> = {
  total: 0,
  succeeded: 0,
  failed: 0,
  skipped: 0,
  retries: 0,
  retriesMax: 0,
  durationMax: 0,
  durationMin: 0,
  durationSum: 0,
  lastAt: null,
  lastSucceededAt: null,
  lastSkippedAt: null,
  lastFailedAt: null,
};

/** What the whole node does. */
export interface NodeActivity {
  readonly workers: readonly WorkerActivity[];
  /** Of all workers, those that ended included. */
  readonly statistics: readonly number[];
  readonly health: readonly HealthRow[];
}
