/** Where a leader may be lost in the course of a failover of the primary. */
export const FAILOVER_STEPS = [
  /** A majority wants it; the leader's supervisor has not proposed it yet. */
  "before the intent",
  /** The intent is committed, and the nodes are still settling. */
  "after the intent",
  "during the command",
  /** The command has ended; its leader does not know yet. */
  "after the command",
  /** The new primary is found, and that is not proposed yet. */
  "before the new primary is published",
] as const;
export type FailoverStep = (typeof FAILOVER_STEPS)[number];
