import type { Result } from "../../base/index.ts";
import type { ClusterView, WatchdogView } from "../../wire/ipc/index.ts";

export type StopMode = "smart" | "fast" | "immediate";

/** `cluster`: every node of the watchdog cluster; without a watchdog the same as `local`. */
export type CommandScope = "local" | "cluster";

export interface PoolStatusRow {
  readonly item: string;
  readonly value: string;
  readonly description: string;
}

type Answer = Result<void, string>;

/**
 * What the supervisor does for an administrator. Each may take its time; the client waits. The
 * error of a Result is the DETAIL line that the client prints, such as `invalid node ID : 7`.
 */
export interface PcpHandlers {
  view(): ClusterView;
  /** Null while the watchdog is off. */
  watchdog(): WatchdogView | null;
  workerPids(): readonly number[];
  poolStatus(): readonly PoolStatusRow[];
  attach(backendId: number): Answer | Promise<Answer>;
  /** `graceful`: resolves only when clients have left or the wait has timed out. */
  detach(backendId: number, how: { readonly graceful: boolean }): Answer | Promise<Answer>;
  /** `switchover`: really promote the standby, not only change what this node believes. */
  promote(
    backendId: number,
    how: { readonly switchover: boolean; readonly graceful: boolean },
  ): Answer | Promise<Answer>;
  /** Called after the reply was handed to the socket. */
  stop(mode: StopMode, scope: CommandScope): Answer | Promise<Answer>;
  reload(scope: CommandScope): Answer | Promise<Answer>;
}
