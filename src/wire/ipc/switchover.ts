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

/** The answer to the wish for a switchover. */
export interface SwitchoverAnswer {
  readonly report: SwitchoverReport;
  /** By which its news can be asked for; null when it is not begun. */
  readonly id: string | null;
}

/** How a switchover goes on, as one node knows it. */
export interface SwitchoverNews {
  /** `unknown`: on its way to the leader, looked at there, or forgotten. */
  readonly state: "unknown" | "preparing" | "running" | "done" | "failed";
  readonly fromId: number | null;
  readonly toId: number | null;
  /** Wall clock, milliseconds since 1970. From then on clients waited. */
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly steps: readonly { readonly name: string; readonly at: number }[];
  /** Why it was refused or given up; empty when nothing went wrong. */
  readonly problem: string;
}
