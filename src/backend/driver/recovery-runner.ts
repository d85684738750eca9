/** The online recovery that this node runs as the leader, at most one. */
import type { Ms } from "../../base/index.ts";
import { CommandRight, type Log } from "../../os/index.ts";
import type { RecoveryStage } from "../../wire/ipc/index.ts";
import {
  RECOVERY_GRACE_MS,
  type ConductorAction,
  type ConductorEvent,
  type FailoverSettings,
} from "../core/failover/index.ts";
import { recoverServer, type RecoverySettings } from "./recover-server.ts";

export interface RecoveryRunnerOptions {
  readonly log: Log;
  readonly deliver: (event: ConductorEvent) => void;
}

interface Running {
  readonly runId: number;
  readonly stop: AbortController;
  readonly right: CommandRight;
  /** The stage that waits for leave to begin. */
  waiting: { readonly stage: RecoveryStage; readonly begin: () => void } | null;
  ended: Promise<void>;
}

export class RecoveryRunner {
  readonly #options: RecoveryRunnerOptions;
  #running: Running | null = null;

  constructor(options: RecoveryRunnerOptions) {
    this.#options = options;
  }

  /** @param leadUntilMs until then this node leads; what runs may go on a little longer. */
  begin(
    action: Extract<ConductorAction, { readonly type: "recover" }>,
    backends: FailoverSettings["backends"],
    settings: RecoverySettings,
    leadUntilMs: Ms,
  ): void {
    const { runId } = action;
    const before = this.#running?.ended;
    const running: Running = {
      runId,
      stop: new AbortController(),
      right: new CommandRight(leadUntilMs + RECOVERY_GRACE_MS),
      waiting: null,
      ended: Promise.resolve(),
    };
    const run = async (): Promise<void> => {
      await before;
      const problem = await this.#run(action, backends, settings, running);
      if (this.#running === running) this.#running = null;
      this.#options.deliver({ type: "recovery-ended", runId, problem });
    };
    this.#running = running;
    running.ended = run();
  }

  async #run(
    { runId, backendId, sourceId, from, isTakenUp }: Parameters<RecoveryRunner["begin"]>[0],
    backends: FailoverSettings["backends"],
    settings: RecoverySettings,
    running: Running,
  ): Promise<string | null> {
    const source = backends.find(({ id }) => id === sourceId);
    const target = backends.find(({ id }) => id === backendId);
    if (source === undefined || target === undefined) {
      return "the configuration of this node has other backends";
    }
    const onStage = async (stage: RecoveryStage): Promise<void> => {
      await new Promise<void>((begin) => {
        running.waiting = { stage, begin };
        this.#options.deliver({ type: "recovery-stage", runId, stage });
      });
    };
    const { right, stop } = running;
    const place = { source, target, from, isTakenUp };
    const means = { log: this.#options.log, signal: stop.signal, right, onStage };
    const outcome = await recoverServer({ ...settings, ...place, ...means });
    return outcome.ok ? null : outcome.error;
  }

  permit(runId: number, stage: RecoveryStage): void {
    const running = this.#running;
    if (running?.runId !== runId || running.waiting?.stage !== stage) return;
    running.waiting.begin();
    running.waiting = null;
  }

  /** @param why goes into the history. */
  stop(runId: number, why: string): void {
    if (this.#running?.runId === runId) this.#running.stop.abort(why);
  }

  mayRunUntil(leadUntilMs: Ms): void {
    this.#running?.right.extend(leadUntilMs + RECOVERY_GRACE_MS);
  }

  /** Resolves when nothing runs any more. */
  async end(): Promise<void> {
    this.#running?.stop.abort("the node that ran it was stopped");
    await this.#running?.ended;
  }
}
