/** What is said of a switchover, before it and while it runs. */

export interface SwitchoverCheck {
  readonly name: string;
  /** A warning does not keep the switchover from being done. */
  readonly result: "ok" | "warning" | "refused";
  readonly found: string;
  /** What to do when it is not ok. */
  readonly remedy: string | null;
}

/** Whether one server can take over from the primary at this moment. */
export interface SwitchoverReport {
  readonly isReady: boolean;
  readonly fromId: number | null;
  /** Null when there is nobody. */
  readonly toId: number | null;
  readonly checks: readonly SwitchoverCheck[];
}
