/**
 * Chooses the backends that a statement goes to, from its class, the configuration and what is
 * known of the cluster. It knows no connection and draws no random number. Read `route.ts` first.
 */
export {
  compileRules,
  type ClientIdentity,
  type RoutingConfig,
  type RoutingRules,
} from "./rules.ts";
export {
  Catalog,
  Catalogs,
  RELATION,
  type CatalogFacts,
  type CatalogNames,
  type CatalogSettings,
  type LeavingNames,
} from "./catalog.ts";
export { isHarmlessBuiltin } from "./functions.ts";
export type { Judge } from "./judge.ts";
export {
  reasonText,
  type NodeChoice,
  type Reason,
  type Unseen,
  type Volatility,
} from "./reason.ts";
export {
  courseOf,
  nextPinned,
  nodesOf,
  route,
  type Course,
  type Route,
  type RoutingContext,
  type SessionNodes,
} from "./route.ts";
export { besidesUnseen, explainRoute } from "./explanation.ts";
export { answerRouteQuestion } from "./route-question.ts";
export { SilentStandbys } from "./silent-standbys.ts";
export { TransactionMemory, type Hold } from "./transaction.ts";
export {
  mutationLifeMs,
  TableMutations,
  type DatabaseMutations,
  type MutationSettings,
  type TableMutationsPort,
} from "./table-mutations.ts";
export { ForwardingGate, type HoldLimits } from "./forwarding-gate.ts";
export { chooseLoadBalanceNode, isUsable, type Preference } from "./balance.ts";
