/** Online recovery, as every node of the cluster knows of it. */

export type RecoveryStage = "first stage" | "remote start" | "waiting for the server";

export const RECOVERY_STAGES: readonly RecoveryStage[] = [
  "first stage",
  "remote start",
  "waiting for the server",
];

/** The recovery that runs. Times are of the wall clock, milliseconds since 1970. */
export interface Recovery {
  readonly eventId: string;
  readonly backendId: number;
  /** The primary that the server is copied from. */
  readonly sourceId: number;
  /** Who asked for it. */
  readonly by: string;
  readonly stage: RecoveryStage;
  /** 1, and one more each time that it was taken up because the node that ran it was lost. */
  readonly attempt: number;
  readonly startedAt: number;
  /** When this stage began. */
  readonly stageAt: number;
}

/** How a recovery stands that was asked for: what `pgquorum recover` looks at. */
export interface RecoveryReport {
  /** Null before it has begun and when it is over. */
  readonly recovery: Recovery | null;
  /** How much of the base backup has been sent, and of how much; null where nobody tells. */
  readonly copied: { readonly bytes: number; readonly ofBytes: number | null } | null;
  /** Null until it is over; the problem is null when there was none. */
  readonly end: { readonly problem: string | null } | null;
  /** The server takes part again. */
  readonly isAttached: boolean;
}
