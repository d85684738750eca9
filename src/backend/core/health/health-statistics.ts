import type { Ms } from "../../../base/index.ts";
import type { HealthRow } from "../../../wire/ipc/index.ts";

/** Of the checks of one backend since the node's start. Source: Pgpool-II, pcp_health_check_stats. */
export type HealthStatistics = Omit<HealthRow, "backendId">;

/** A check with all its attempts. */
export interface FinishedCheck {
  readonly outcome: "succeeded" | "failed" | "skipped";
  /** Attempts after the first. */
  readonly retries: number;
  /** From the first attempt to the end of the last. */
  readonly durationMs: Ms;
  /** Wall clock, milliseconds since 1970. */
  readonly endedAt: number;
}

/** The statistics with one more check. */
export function withCheck(before: HealthStatistics, check: FinishedCheck): HealthStatistics {
  const { outcome, retries, endedAt } = check;
  const durationMs = Math.round(check.durationMs);
  const counted = { ...before, total: before.total + 1, lastAt: endedAt };
  if (outcome === "skipped") {
    return { ...counted, skipped: before.skipped + 1, lastSkippedAt: endedAt };
  }
  const isFirst = before.succeeded + before.failed === 0;
  const timed = {
    ...counted,
    retries: before.retries + retries,
    retriesMax: Math.max(before.retriesMax, retries),
    durationMax: Math.max(before.durationMax, durationMs),
    durationMin: isFirst ? durationMs : Math.min(before.durationMin, durationMs),
    durationSum: before.durationSum + durationMs,
  };
  return outcome === "succeeded"
    ? { ...timed, succeeded: before.succeeded + 1, lastSucceededAt: endedAt }
    : { ...timed, failed: before.failed + 1, lastFailedAt: endedAt };
}
