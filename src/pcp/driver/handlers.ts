import type { Result } from "../../base/index.ts";
import type { ClusterView, WatchdogView } from "../../wire/ipc/index.ts";
import type { CommandScope, PoolStatusRow, StopMode } from "../../wire/pcp/index.ts";

type Outcome = Result<void, string>;

/**
 * What the supervisor does for an administrator. Each may take its time; the client waits. The
 * error of a Result is the DETAIL line that the client prints, such as `invalid node ID : 7`.
 * `user` is who asks, by pcp.conf.
 */
export interface PcpHandlers {
  view(): ClusterView;
  /** Null while the watchdog is off. */
  watchdog(): WatchdogView | null;
  workerPids(): readonly number[];
  /** Of one worker, or of all for 0, with all fields; null when there is no such worker. */
  processInfo(processId: number): Promise<readonly (readonly string[])[] | null>;
  /** Null when there is no such backend. */
  healthCheckStats(backendId: number): Promise<readonly string[] | null>;
  poolStatus(): readonly PoolStatusRow[];
  attach(backendId: number, user: string): Outcome | Promise<Outcome>;
  /** Online recovery; resolves when it is over. */
  recover(backendId: number, user: string): Outcome | Promise<Outcome>;
  /** `graceful`: resolves only when clients have left or the wait has timed out. */
  detach(
    backendId: number,
    how: { readonly graceful: boolean; readonly user: string },
  ): Outcome | Promise<Outcome>;
  /** `switchover`: really promote the standby, not only change what this node believes. */
  promote(
    backendId: number,
    how: { readonly switchover: boolean; readonly graceful: boolean; readonly user: string },
  ): Outcome | Promise<Outcome>;
  /** Called after the reply was handed to the socket; an error is only logged. */
  stop(mode: StopMode, scope: CommandScope): Outcome | Promise<Outcome>;
  reload(scope: CommandScope): Outcome | Promise<Outcome>;
}
