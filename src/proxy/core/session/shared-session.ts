import { LEAVES, type SqlClass } from "../sql/index.ts";

export const NAMED_STATEMENT = "prepared statement";

const WORDS: readonly (readonly [number, string])[] = [
  [LEAVES.settings | LEAVES.role, "setting"],
  [LEAVES.listening, "LISTEN"],
  [LEAVES.temporary, "temporary table"],
  [LEAVES.advisoryLocks, "advisory lock"],
  [LEAVES.cursors, "cursor WITH HOLD"],
  [LEAVES.prepared, NAMED_STATEMENT],
  [LEAVES.process, "library or replication slot"],
];

/**
 * Why a session must keep its connection for itself after this statement, in words for SHOW; null
 * when nothing is left behind.
 */
export function reasonToKeep(sql: SqlClass): string | null {
  if (sql.leaves === 0) return null;
  for (const [bits, words] of WORDS) if ((sql.leaves & bits) !== 0) return words;
  return "statement of unknown effect";
}
