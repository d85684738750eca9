import type { ClusterView } from "../../../wire/ipc/index.ts";
import type { RoutingConfig } from "./rules.ts";
export function chooseLoadBalanceNode(
  _view: ClusterView,
  _config: Pick<
    RoutingConfig,
    "delay_threshold" | "load_balance_mode" | "prefer_lower_delay_standby"
  >,
  _randomUnit: number,
): number | null {
  throw new Error("not built");
}
