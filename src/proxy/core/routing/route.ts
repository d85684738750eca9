import type { ClusterView } from "../../../wire/ipc/index.ts";
import type { SqlClass } from "../sql/index.ts";
import type { RoutingRules } from "./rules.ts";
export interface RoutingContext {
  readonly rules: RoutingRules;
  readonly view: ClusterView;
  /** The statement as sent; read only when primary_routing_query_pattern_list is set. */
  readonly text: string;
  /** The node this session (or, per statement, this read) was given by chooseLoadBalanceNode. */
  readonly loadBalanceNode: number | null;
  /** 0 <= randomUnit < 1, drawn once a session: chooses again when that node cannot be used. */
  readonly randomUnit: number;
  /** In an explicit transaction, failed or not, or in an unsynced extended batch that wrote. */
  readonly inTransaction: boolean;
  /** Any earlier Route of this session had `writes` (for disable_load_balance_on_write = always). */
  readonly writeSeen: boolean;
  /** The session's state differs between the backends: kept with `nextPinned`. */
  readonly pinned: boolean;
  /** All `createsTemp` so far in this session. */
  readonly tempRelations: ReadonlySet<string>;
}
export interface Route {
  /** Backend ids, the primary first. Empty: nobody can take it now; `reason` says why. */
  readonly targets: readonly number[];
  /** For log, explain-routing and error details. */
  readonly reason: string;
  /** Not known to be a pure read. */
  readonly writes: boolean;
}
export function route(_sql: SqlClass, _context: RoutingContext): Route {
  throw new Error("not built");
}
/** `pinned` for the statements after this one. */
export function nextPinned(_pinned: boolean, _sql: SqlClass, _route: Route): boolean {
  throw new Error("not built");
}
