import type { Ms } from "../../../base/index.ts";
import type { ClientState } from "../../../wire/ipc/index.ts";

/**
 * Since when a client has been in its state. It is looked at now and then instead of told of
 * every change, so that a query costs nothing; a client that did anything in between, and be it
 * that it is in the same state again, has not been in it since before. So a moment named here is
 * never too early, and as late as the looks are apart at most.
 */
export class Presence {
  #state: ClientState;
  #sinceMs: Ms;
  #inputsCount = 0;

  constructor(state: ClientState, nowMs: Ms) {
    this.#state = state;
    this.#sinceMs = nowMs;
  }

  get state(): ClientState {
    return this.#state;
  }

  get sinceMs(): Ms {
    return this.#sinceMs;
  }

  /** @param inputsCount grows with everything that the client sends. */
  look(state: ClientState, inputsCount: number, nowMs: Ms): void {
    if (state === this.#state && inputsCount === this.#inputsCount) return;
    this.#state = state;
    this.#inputsCount = inputsCount;
    this.#sinceMs = nowMs;
  }

  /** How long nothing was wanted of us; 0 while something is. */
  idleMs(nowMs: Ms): Ms {
    const isIdle = this.#state === "idle" || this.#state === "idle in transaction";
    return isIdle ? nowMs - this.#sinceMs : 0;
  }
}
