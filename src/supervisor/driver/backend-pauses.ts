import type { Ms } from "../../base/index.ts";
import { CoreRunner, monotonicNowMs, type Log } from "../../os/index.ts";
import type { FromWorker, PauseStatus, ToWorker } from "../../wire/ipc/index.ts";
import {
  backendPauses,
  NO_PAUSES,
  runningOf,
  type BackendPause,
  type BackendPausesAction,
  type BackendPausesEvent,
  type BackendPausesState,
} from "../core/backend-pauses.ts";

/**
 * Pauses backends on this node: statements that would begin there wait in all workers, those that
 * run end as they will. The caller learns when nothing runs any more, and resumes; if it does not,
 * the pause ends by itself.
 */
export class BackendPauses {
  readonly #log: Log;
  readonly #core: CoreRunner<BackendPausesState, BackendPausesEvent, BackendPausesAction>;
  /** Told when a pause has changed. */
  #watchers: (() => void)[] = [];

  constructor(o: { readonly log: Log; readonly tellOne: (id: number, what: ToWorker) => void }) {
    this.#log = o.log;
    this.#core = new CoreRunner<BackendPausesState, BackendPausesEvent, BackendPausesAction>(
      backendPauses,
      NO_PAUSES,
      {
        perform: (action) => {
          if (action.type === "tell") o.tellOne(action.id, action.message);
          else this.#logEnd(action);
        },
        onState: () => {
          for (const watcher of this.#watchers) watcher();
        },
      },
    );
  }

  /**
   * @param o.by in words, for status and log.
   * @param o.forMs then it ends by itself.
   * @param o.drainWithinMs resolves no later, even when something still runs.
   * @returns how it stands; null when it was resumed meanwhile.
   */
  async pause(
    backendId: number,
    o: { readonly by: string; readonly forMs: Ms; readonly drainWithinMs: Ms },
  ): Promise<PauseStatus | null> {
    const { by, forMs } = o;
    const seconds = Math.round(forMs / 1000);
    this.#log.write("log", `backend ${backendId} is paused by ${by}, for ${seconds} s at most`);
    this.#core.deliver({ type: "pause", backendId, by, forMs });
    await this.#until(() => {
      const found = this.#find(backendId);
      return found === undefined || found.drainedMs !== null;
    }, o.drainWithinMs);
    return this.status.find((one) => one.backendId === backendId) ?? null;
  }

  /** @returns false when it was not paused. */
  resume(backendId: number): boolean {
    const isPaused = this.#find(backendId) !== undefined;
    if (isPaused) this.#core.deliver({ type: "resume", backendId });
    return isPaused;
  }

  get status(): PauseStatus[] {
    const nowMs = monotonicNowMs();
    const wallMs = Date.now();
    return this.#core.state.pauses.map((pause) => ({
      backendId: pause.backendId,
      by: pause.by,
      since: Math.round(wallMs - (nowMs - pause.sinceMs)),
      until: Math.round(wallMs + (pause.untilMs - nowMs)),
      running: runningOf(pause),
      isDrained: pause.drainedMs !== null,
    }));
  }

  workerJoined(id: number): void {
    this.#core.deliver({ type: "worker-joined", id });
  }

  workerLeft(id: number): void {
    this.#core.deliver({ type: "worker-left", id });
  }

  workerTold(id: number, told: FromWorker & { readonly type: "backend-paused" }): void {
    const { backendId, round, running } = told;
    this.#core.deliver({ type: "told", id, backendId, round, running });
  }

  stop(): void {
    this.#core.stop();
  }

  #find(backendId: number): BackendPause | undefined {
    return this.#core.state.pauses.find((one) => one.backendId === backendId);
  }

  #logEnd(action: Exclude<BackendPausesAction, { type: "tell" }>): void {
    const { backendId, sinceMs } = action.pause;
    const after = `after ${Math.round(monotonicNowMs() - sinceMs)} ms`;
    if (action.type === "drained") {
      this.#log.write("log", `backend ${backendId} is drained ${after}: nothing runs there`);
    } else if (action.why === "asked") {
      this.#log.write("log", `backend ${backendId} is resumed ${after}`);
    } else {
      const hint = 'Who paused it did not resume it; "pgquorum pause --timeout" sets the time.';
      this.#log.write("warning", `backend ${backendId} is resumed: its pause is over ${after}`, {
        hint,
      });
    }
  }

  #until(isReached: () => boolean, withinMs: Ms): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#watchers = this.#watchers.filter((other) => other !== look);
        resolve();
      };
      const look = (): void => {
        if (isReached()) end();
      };
      const timer = setTimeout(end, withinMs);
      this.#watchers.push(look);
      look();
    });
  }
}
