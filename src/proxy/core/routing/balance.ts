import type { Redirect } from "../../../config/index.ts";
import type { BackendView, ClusterView } from "../../../wire/ipc/index.ts";
import type { RoutingConfig } from "./rules.ts";

export type BalanceConfig = Pick<
  RoutingConfig,
  "load_balance_mode" | "delay_threshold" | "delay_threshold_by_time"
>;

/** What one of the redirect lists says of a client. */
export interface Preference {
  /** The parameter. */
  readonly list: string;
  readonly pattern: string;
  readonly node: Redirect["node"];
  readonly ratio: number;
}

/**
 * The backend for the reads of a session (or of one statement): that of the first preference that
 * can be followed, else by weight among those that live and are not too far behind. When weights
 * choose none it is the primary; when all weights are 0, or load_balance_mode is off and there is
 * no primary, the main node, which is the live one with the smallest id. Null when none lives.
 *
 * Source: Pgpool-II's manual, database_redirect_preference_list, and its behaviour.
 *
 * @param randomUnit 0 <= randomUnit < 1.
 */
export function chooseLoadBalanceNode(
  view: ClusterView,
  config: BalanceConfig,
  randomUnit: number,
  preferences: readonly Preference[] = [],
): number | null {
  const main = mainNode(view);
  const primary = livePrimary(view);
  if (!config.load_balance_mode) return primary ?? main;
  const preferred = followed(view, preferences);
  if (preferred === null) return byWeight(view, config, randomUnit, anyBackend);
  const { node, ratio } = preferred;
  const isFollowed = randomUnit <= ratio;
  // What is left of the random number is as random.
  const rest = isFollowed ? randomUnit / (ratio || 1) : (randomUnit - ratio) / (1 - ratio);
  const unit = Math.min(rest, 1 - Number.EPSILON);
  if (node === "standby") {
    if (!isFollowed && primary !== null) return primary;
    return byWeight(view, config, unit, ({ id }) => id !== view.primaryId);
  }
  const wanted = node === "primary" ? primary : node;
  return isFollowed ? wanted : byWeight(view, config, unit, ({ id }) => id !== wanted);
}

/** The preference that counts: one for a node that is gone is passed over. */
export function followed(view: ClusterView, preferences: readonly Preference[]): Preference | null {
  for (const preference of preferences) {
    const { node } = preference;
    if (node === "standby") return preference;
    const id = node === "primary" ? view.primaryId : node;
    if (view.backends.some((backend) => backend.id === id && isUsable(backend))) return preference;
  }
  return null;
}

type Filter = (backend: BackendView) => boolean;

const anyBackend: Filter = () => true;

function byWeight(
  view: ClusterView,
  config: BalanceConfig,
  randomUnit: number,
  mayBe: Filter,
): number | null {
  const main = mainNode(view);
  let total = 0;
  for (const backend of view.backends) {
    if (mayBe(backend) && isCandidate(view, backend, config)) total += backend.weight;
  }
  let rest = randomUnit * total;
  let last: number | null = null;
  for (const backend of view.backends) {
    if (!mayBe(backend) || !isCandidate(view, backend, config)) continue;
    last = backend.id;
    rest -= backend.weight;
    if (rest < 0) break;
  }
  if (last !== null) return last; // Of the last one rounding may have left a crumb.
  const isWeightless = view.backends.every((backend) => backend.weight === 0);
  const mainView = view.backends.find((backend) => backend.id === main);
  const mayUseMain = mainView !== undefined && !isLagging(view, mainView, config);
  return isWeightless && mayUseMain ? main : (livePrimary(view) ?? main);
}

function isCandidate(view: ClusterView, backend: BackendView, config: BalanceConfig): boolean {
  return backend.weight > 0 && isUsable(backend) && !isLagging(view, backend, config);
}

/** Connections to it can be opened, as far as is known. */
export function isUsable(backend: BackendView): boolean {
  const { state, quarantined, problem } = backend;
  return (state === "up" || state === "waiting") && !quarantined && problem === null;
}

/**
 * Further behind than delay_threshold_by_time, or where that is 0 than delay_threshold bytes; 0
 * switches the test off.
 */
export function isLagging(view: ClusterView, backend: BackendView, config: BalanceConfig): boolean {
  const { delay_threshold: bytes, delay_threshold_by_time: timeMs } = config;
  if (backend.id === view.primaryId) return false;
  if (timeMs > 0) return backend.replicationDelayMs > timeMs;
  return bytes > 0 && backend.replicationDelayBytes > bytes;
}

/** How far behind, in the measure that `isLagging` goes by. */
export function delayOf(backend: BackendView, { delay_threshold_by_time }: BalanceConfig): number {
  return delay_threshold_by_time > 0 ? backend.replicationDelayMs : backend.replicationDelayBytes;
}

export function livePrimary(view: ClusterView): number | null {
  const primary = view.backends.find((backend) => backend.id === view.primaryId);
  return primary !== undefined && isUsable(primary) ? primary.id : null;
}

function mainNode(view: ClusterView): number | null {
  const ids = view.backends.filter(isUsable).map((backend) => backend.id);
  return ids.length === 0 ? null : Math.min(...ids);
}
