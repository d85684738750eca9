/** The online recovery that this node runs as the leader, at most one. */
import type { Ms } from "../../base/index.ts";
import { CommandRight, type Log } from "../../os/index.ts";
import type { ConductorAction, ConductorEvent, FailoverSettings } from "../core/failover/index.ts";
import { recoverServer, type RecoverySettings } from "./recover-server.ts";

export interface RecoveryRunnerOptions {
  readonly log: Log;
  readonly deliver: (event: ConductorEvent) => void;
}

interface Running {
  readonly eventId: string;
  readonly stop: AbortController;
  readonly right: CommandRight;
  readonly ended: Promise<void>;
}

export class RecoveryRunner {
  readonly #options: RecoveryRunnerOptions;
  #running: Running | null = null;

  constructor(options: RecoveryRunnerOptions) {
    this.#options = options;
  }

  begin(
    { eventId, backendId, sourceId }: Extract<ConductorAction, { readonly type: "recover" }>,
    backends: FailoverSettings["backends"],
    settings: RecoverySettings,
    rightUntilMs: Ms,
  ): void {
    const { log, deliver } = this.#options;
    const source = backends.find(({ id }) => id === sourceId);
    const target = backends.find(({ id }) => id === backendId);
    const stop = new AbortController();
    const right = new CommandRight(rightUntilMs);
    const run = async (): Promise<void> => {
      const outcome =
        source === undefined || target === undefined
          ? ({ ok: false, error: "the configuration of this node has other backends" } as const)
          : await recoverServer({
              ...settings,
              source,
              target,
              log,
              signal: stop.signal,
              right,
              onStage: (stage) => deliver({ type: "recovery-stage", eventId, stage }),
            });
      if (this.#running?.eventId === eventId) this.#running = null;
      const problem = outcome.ok ? null : outcome.error;
      deliver({ type: "recovery-ended", eventId, problem });
    };
    this.#running = { eventId, stop, right, ended: run() };
  }

  /** @param why goes into the history. */
  stop(eventId: string, why: string): void {
    if (this.#running?.eventId === eventId) this.#running.stop.abort(why);
  }

  mayRunUntil(untilMs: Ms): void {
    this.#running?.right.extend(untilMs);
  }

  /** Resolves when nothing runs any more. */
  async end(): Promise<void> {
    this.#running?.stop.abort("the node that ran it was stopped");
    await this.#running?.ended;
  }
}
