/**
 * Cancel requests that another worker carries out. Whoever cancels waits for our closing of the
 * connection before the next statement, so it is closed when the cancel has come through, and not
 * before: a late one would hit that statement.
 */
import type { FromWorker } from "../../wire/ipc/index.ts";

/** A worker that does not answer has ended, or is as good as ended. */
const ANSWER_WITHIN_MS = 10_000;
/** Further ones are passed on as well, but not waited for. */
const WAITING_MAX = 10_000;

export class RemoteCancels {
  readonly #tell: (message: FromWorker) => void;
  readonly #waiting = new Map<number, () => void>();
  #sequence = 0;

  constructor(tell: (message: FromWorker) => void) {
    this.#tell = tell;
  }

  pass(processId: number, secretKey: string, done: () => void): void {
    this.#sequence = (this.#sequence + 1) % Number.MAX_SAFE_INTEGER;
    const id = this.#sequence;
    this.#tell({ type: "cancel", processId, secretKey, id });
    if (this.#waiting.size >= WAITING_MAX) return done();
    const timer = setTimeout(() => this.answered(id), ANSWER_WITHIN_MS);
    timer.unref();
    this.#waiting.set(id, () => {
      clearTimeout(timer);
      done();
    });
  }

  answered(id: number): void {
    const done = this.#waiting.get(id);
    this.#waiting.delete(id);
    done?.();
  }
}
