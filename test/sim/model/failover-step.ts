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

/** Of a switchover. Before its intent it is a wish of which only the leader knows. */
export const SWITCHOVER_STEPS = [
  "after the intent",
  "while the old primary is stopped",
  /** Its command has ended; its leader does not know yet. */
  "after the old primary is stopped",
  "during the command",
  "after the command",
  "before the new primary is published",
] as const;
export type SwitchoverStep = (typeof SWITCHOVER_STEPS)[number];
export type AnyStep = FailoverStep | SwitchoverStep;
