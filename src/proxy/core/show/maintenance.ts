import type { Maintenance } from "../../../wire/ipc/index.ts";

/**
 * The row `maintenance` of SHOW POOL_STATUS and pcp_pool_status.
 *
 * @param formatTime milliseconds since 1970 -> local time.
 */
export function maintenanceText(
  maintenance: Maintenance | null,
  formatTime: (wallMs: number) => string,
): string {
  if (maintenance === null) return "off";
  const { since, by, reason } = maintenance;
  const why = reason === "" ? "" : `: ${reason}`;
  return `on since ${formatTime(since)} by ${by}${why}`;
}

/** What a NOTICE says beside rows about backends; null: nothing. */
export function maintenanceNotice(
  maintenance: Maintenance | null,
  formatTime: (wallMs: number) => string,
): string | null {
  if (maintenance === null) return null;
  return `maintenance is ${maintenanceText(maintenance, formatTime)}; no failover happens by itself`;
}
