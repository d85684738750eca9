/**
 * Chooses the backends that a statement goes to, from its class, the configuration and what is
 * known of the cluster. It knows no connection and draws no random number. Read `route.ts` first.
 */
export { compileRules, type RoutingConfig, type RoutingRules } from "./rules.ts";
export { route, nextPinned, type Route, type RoutingContext } from "./route.ts";
export { ForwardingGate, type HoldLimits } from "./forwarding-gate.ts";
export { chooseLoadBalanceNode } from "./balance.ts";
