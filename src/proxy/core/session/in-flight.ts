import type { SqlClass } from "../sql/index.ts";

/**
 * What statements may have done whose answer never came, in bits: those of a link since nothing of
 * the client was under way there.
 */
export const MAY = {
  /** Ended a transaction by committing it. */
  commit: 1 << 0,
  /** Changed something for good by itself, once the client's Sync or the end of its text is reached. */
  write: 1 << 1,
  /** Begun a transaction. */
  begin: 1 << 2,
  /** Ended one, in whatever way. */
  end: 1 << 3,
} as const;

/** Of a text, or a portal, of which nothing is known. */
export const MAY_ANYTHING = MAY.commit | MAY.write | MAY.begin;

/**
 * @param isInside a transaction is open then, or begun by what is under way.
 * @param writes it is not known to be a pure read.
 */
export function mayHaveDone(sql: SqlClass, isInside: boolean, writes: boolean): number {
  const { kind, multi } = sql;
  if (multi || kind === "unparsable") return MAY_ANYTHING;
  if (kind === "begin") return MAY.begin;
  if (kind === "commit" || kind === "two-phase") return MAY.commit | MAY.end;
  if (kind === "rollback") return MAY.end;
  return writes && !isInside ? MAY.write : 0;
}
