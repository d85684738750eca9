/** Which standbys may have what a client was told is committed; published to all nodes. */
import { DecodeError, Fields } from "./fields.ts";

/**
 * What the primary's settings promise, as last seen: each commit that a client was told of stood on
 * `neededCount` of the standbys in `listedIds` and of `strangersCount` others before.
 */
export interface SynchronousSet {
  /** Who said so; of another primary it says nothing. */
  readonly primaryId: number;
  readonly neededCount: number;
  /** Backends that the rule names; all of them where names cannot be told apart. */
  readonly listedIds: readonly number[];
  /** Names in the rule that are none of our backends. */
  readonly strangersCount: number;
  /** Those that the primary treated as synchronous; empty where none was. */
  readonly syncIds: readonly number[];
  /** The parameter, cut to `RULE_MAX` characters. */
  readonly rule: string;
}

export const RULE_MAX = 200;

/** Errors: thrown as `DecodeError`. */
export function decodeSynchronousSet(value: unknown): SynchronousSet {
  const fields = new Fields(value, "synchronous");
  const neededCount = fields.integer("neededCount");
  if (neededCount === 0) throw new DecodeError("neededCount of synchronous must not be 0");
  return {
    primaryId: fields.id("primaryId"),
    neededCount,
    listedIds: fields.ids("listedIds"),
    strangersCount: fields.integer("strangersCount"),
    syncIds: fields.ids("syncIds"),
    rule: fields.text("rule", RULE_MAX),
  };
}
