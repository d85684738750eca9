/** Part of the supervisor's root: the backends that this node keeps away from by itself. */
import {
  isLive,
  newQuarantine,
  quarantine,
  quarantinedIds,
  type CheckTimes,
  type ClusterState,
  type Disagreement,
  type QuarantineAction,
  type QuarantineEvent,
  type QuarantineMark,
  type QuarantineState,
} from "../backend/index.ts";
import type { Config } from "../config/index.ts";
import { CoreRunner, type Log } from "../os/index.ts";
import type { ClusterRequest, QuarantineStatus, WatchdogView } from "../wire/ipc/index.ts";

export interface QuarantineCareOptions {
  readonly config: Config;
  readonly log: Log;
  /** What the node routes by, or shows, has changed. */
  readonly onMarks: () => void;
  /** Look at this backend now, and ask again if it still fails. */
  readonly onHurry: (backendId: number) => void;
  /** For the leader, who tells all. */
  readonly onRequest: (request: ClusterRequest) => void;
  /** Why this node should not lead; null when it may. */
  readonly onFitness: (unfit: string | null) => void;
}

export class QuarantineCare {
  readonly #options: QuarantineCareOptions;
  readonly #runner: CoreRunner<QuarantineState, QuarantineEvent, QuarantineAction>;

  constructor(options: QuarantineCareOptions) {
    this.#options = options;
    const initial = newQuarantine(checkTimesOf(options.config));
    this.#runner = new CoreRunner(quarantine, initial, {
      perform: (action) => this.#perform(action),
    });
  }

  get ids(): ReadonlySet<number> {
    return quarantinedIds(this.#runner.state);
  }

  /** Those of this node, and what others have told the cluster. */
  statusOf(nodeId: number | null, cluster: ClusterState | null): readonly QuarantineStatus[] {
    const own = this.#marks.map(({ backendId, stage, since, reason, why }): QuarantineStatus => ({
      nodeId,
      backendId,
      since,
      reason,
      isInForce: stage === "quarantined",
      canDecide: why !== "no-quorum",
    }));
    const others = (cluster?.quarantines ?? []).filter((other) => other.nodeId !== nodeId);
    const told = others.map(({ nodeId: id, backendId, since, reason }): QuarantineStatus => ({
      nodeId: id,
      backendId,
      since,
      reason,
      isInForce: true,
      canDecide: true,
    }));
    return [...own, ...told];
  }

  get #marks(): readonly QuarantineMark[] {
    return this.#runner.state.marks;
  }

  /** The cluster did not agree to detach it. */
  refused(request: ClusterRequest, why: Disagreement): void {
    const { reason } = request;
    for (const backendId of request.backendIds) {
      this.#runner.deliver({ type: "refused", backendId, why, reason, wallMs: Date.now() });
    }
  }

  answered(backendId: number): void {
    if (this.#marks.length > 0) this.#runner.deliver({ type: "answered", backendId });
  }

  agreed(state: ClusterState): void {
    const liveIds = state.backends.filter(isLive).map(({ id }) => id);
    this.#runner.deliver({ type: "agreed", liveIds, primaryId: state.primaryId });
  }

  onWatchdog({ hasQuorum, leaderId }: WatchdogView): void {
    this.#runner.deliver({ type: "watchdog", hasQuorum, leaderId });
  }

  configure(config: Config): void {
    this.#runner.deliver({ type: "configured", checkTimes: checkTimesOf(config) });
  }

  stop(): void {
    this.#runner.stop();
  }

  #perform(action: QuarantineAction): void {
    const { log, onMarks, onHurry, onFitness } = this.#options;
    switch (action.type) {
      case "change-marks":
        onMarks();
        return;
      case "hurry":
        onHurry(action.backendId);
        return;
      case "change-fitness":
        onFitness(action.unfit);
        return;
      case "announce":
        this.#tell("quarantine", action.mark.backendId, action.mark.reason);
        return;
      case "withdraw":
        this.#tell("release", action.backendId, "it answers again");
        return;
      case "log":
        log.write("log", action.message, action);
    }
  }

  /** Nobody has to agree to what this node says of itself. */
  #tell(kind: "quarantine" | "release", backendId: number, reason: string): void {
    const whole = { confirmed: true, isAutomatic: true, switchoverTo: null, reason };
    this.#options.onRequest({ kind, backendIds: [backendId], ...whole });
  }
}

function checkTimesOf({ backends }: Config): CheckTimes {
  return new Map(
    backends.map(({ id, healthCheck }) => {
      const { period, timeout, maxRetries, retryDelay } = healthCheck;
      const seconds = period + timeout * (maxRetries + 1) + retryDelay * maxRetries;
      return [id, period === 0 ? 0 : seconds * 1000];
    }),
  );
}
