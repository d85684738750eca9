/**
 * What the clients were told against what the primary has. Rows, never counts: a row too many
 * cannot hide one that is missing. Pure.
 */
import { rowKey } from "../../../scripts/lab.d/demo/load-messages.ts";
import type { Writes } from "./crowd/messages.ts";

export interface Judged {
  readonly acknowledged: number;
  /** Acknowledged, and not there. */
  readonly lost: readonly string[];
  readonly unknown: number;
  /** The client was told that it was not stored, and it is. */
  readonly denied: readonly string[];
}

/** @param stored keys as `rowKey` makes them. */
export function judge(writes: readonly Writes[], stored: ReadonlySet<string>): Judged {
  const keysOf = (pick: (each: Writes) => readonly number[]): string[] =>
    writes.flatMap((each) => pick(each).map((number) => rowKey(each.writer, number)));
  const acknowledged = keysOf((each) => each.acknowledged);
  return {
    acknowledged: acknowledged.length,
    lost: acknowledged.filter((key) => !stored.has(key)),
    unknown: keysOf((each) => each.unknown).length,
    denied: keysOf((each) => each.refused).filter((key) => stored.has(key)),
  };
}
