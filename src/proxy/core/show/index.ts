/**
 * Answers SHOW POOL_* from values it is given. It asks nobody, formats no time itself and sends
 * nothing: the session puts the rows on the wire.
 */
import type { Failure, Result } from "../../../base/index.ts";
import type { ClusterView } from "../../../wire/ipc/index.ts";
export interface ShowData {
  readonly view: ClusterView;
  /** This session's. */
  readonly loadBalanceNode: number | null;
  /** `4.7.0 (pgquorum)` */
  readonly version: string;
  /** Rows of SHOW POOL_STATUS, in order. */
  readonly poolStatus: readonly {
    readonly item: string;
    readonly value: string;
    readonly description: string;
  }[];
  /** Milliseconds since 1970 -> `YYYY-MM-DD HH:MM:SS`, local time. */
  readonly formatTime: (wallMs: number) => string;
}
export interface ShowAnswer {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** CommandComplete: `SELECT n`. ReadyForQuery after it is always `I`. */
  readonly tag: string;
}
/** @param command the `name` of a `show-pool` class: `pool_nodes`. */
export function answerShow(_command: string, _data: ShowData): Result<ShowAnswer, Failure> {
  throw new Error("not built");
}
