/** When the primary had written how much: by that a position that a standby lacks has an age. */
import { assert, type Ms } from "../../../base/index.ts";

interface WrittenPosition {
  /** Monotonic: the primary had written so much then, or before. */
  readonly atMs: Ms;
  readonly lsn: bigint;
}

/** The oldest first; both fields grow. */
export type WrittenPositions = readonly WrittenPosition[];

/** The older ones stand further apart, so that these reach far back all the same. */
const POSITIONS_MAX = 64;

/**
 * Adds what the primary said. One that has written less than before is another server, or another
 * history of the same: what was known is forgotten.
 */
export function withWritten(known: WrittenPositions, lsn: bigint, atMs: Ms): WrittenPositions {
  const last = known.at(-1);
  if (last !== undefined && lsn < last.lsn) return [{ atMs, lsn }];
  if (last !== undefined && (lsn === last.lsn || atMs <= last.atMs)) return known;
  const all = [...known, { atMs, lsn }];
  const half = POSITIONS_MAX / 2;
  const kept =
    all.length <= POSITIONS_MAX ? all : all.filter((_, at) => at >= half || at % 2 === 0);
  assert(kept.length <= POSITIONS_MAX, "the positions that are remembered are bounded");
  return kept;
}

/**
 * For how long we have known of a position that was not replayed; 0 when all is.
 *
 * @returns null when the standby is behind all that we remember.
 */
export function unreplayedForMs(
  known: WrittenPositions,
  replayed: bigint | null,
  nowMs: Ms,
): Ms | null {
  const oldest = known[0];
  if (replayed === null || oldest === undefined || replayed < oldest.lsn) return null;
  const missing = known.find(({ lsn }) => lsn > replayed);
  return missing === undefined ? 0 : Math.max(0, nowMs - missing.atMs);
}
