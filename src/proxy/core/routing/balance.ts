import type { BackendView, ClusterView } from "../../../wire/ipc/index.ts";
import type { RoutingConfig } from "./rules.ts";

export type BalanceConfig = Pick<RoutingConfig, "load_balance_mode" | "delay_threshold">;

/**
 * The backend for the reads of a session (or of one statement): by weight among those that live
 * and are not too far behind. When weights choose none it is the primary; when all weights are 0,
 * or load_balance_mode is off and there is no primary, the main node, which is the live one with
 * the smallest id. Null when none lives.
 *
 * @param randomUnit 0 <= randomUnit < 1.
 */
export function chooseLoadBalanceNode(
  view: ClusterView,
  config: BalanceConfig,
  randomUnit: number,
): number | null {
  const main = mainNode(view);
  const primary = livePrimary(view);
  if (!config.load_balance_mode) return primary ?? main;
  const candidates = view.backends.filter(
    (backend) => backend.weight > 0 && isUsable(backend) && !isLagging(view, backend, config),
  );
  const total = candidates.reduce((sum, backend) => sum + backend.weight, 0);
  let rest = randomUnit * total;
  for (const candidate of candidates) {
    rest -= candidate.weight;
    if (rest < 0) return candidate.id;
  }
  const lastCandidate = candidates.at(-1); // Rounding left a crumb.
  if (lastCandidate !== undefined) return lastCandidate.id;
  const isWeightless = view.backends.every((backend) => backend.weight === 0);
  const mainView = view.backends.find((backend) => backend.id === main);
  const mayUseMain = mainView !== undefined && !isLagging(view, mainView, config);
  return isWeightless && mayUseMain ? main : (primary ?? main);
}

/** Connections to it can be opened, as far as is known. */
export function isUsable(backend: BackendView): boolean {
  return (backend.state === "up" || backend.state === "waiting") && !backend.quarantined;
}

/** Further behind than delay_threshold bytes; 0 switches the test off. */
export function isLagging(view: ClusterView, backend: BackendView, config: BalanceConfig): boolean {
  if (config.delay_threshold <= 0 || backend.id === view.primaryId) return false;
  return backend.replicationDelayBytes > config.delay_threshold;
}

export function livePrimary(view: ClusterView): number | null {
  const primary = view.backends.find((backend) => backend.id === view.primaryId);
  return primary !== undefined && isUsable(primary) ? primary.id : null;
}

function mainNode(view: ClusterView): number | null {
  const ids = view.backends.filter(isUsable).map((backend) => backend.id);
  return ids.length === 0 ? null : Math.min(...ids);
}
