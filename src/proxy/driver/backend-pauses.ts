import { failure, type Failure } from "../../base/index.ts";
import type { FromWorker } from "../../wire/ipc/index.ts";

/** How often it is looked whether all that ran has ended. */
const LOOK_EVERY_MS = 20;

export interface BackendPausesOptions {
  /** How long statements are held before they are refused; 0 for ever. */
  readonly holdMs: () => number;
  /** Connections to this backend on which something runs or a transaction is open. */
  readonly countRunning: (backendId: number) => number;
  /** Statements that are held may go on, or are refused from now on. */
  readonly changed: () => void;
  readonly tell: (message: FromWorker) => void;
}

interface Pause {
  readonly round: number;
  refusal: Failure | null;
  readonly timer: NodeJS.Timeout | null;
  /** What the supervisor was told last. */
  running: number;
  /** Clients that cannot log in meanwhile. */
  readonly waiting: Set<(why: Failure | null) => void>;
}

/**
 * Backends on which nothing begins for the time being. What runs there ends as it will, in its own
 * time; how much that still is, the supervisor is told until nothing is left.
 */
export class BackendPauses {
  readonly #o: BackendPausesOptions;
  readonly #paused = new Map<number, Pause>();
  #timer: NodeJS.Timeout | null = null;

  constructor(o: BackendPausesOptions) {
    this.#o = o;
  }

  /** Null: it is not paused. A failure: it was for so long that nobody waits for it any more. */
  of(backendId: number): "wait" | Failure | null {
    // Asked for every statement.
    if (this.#paused.size === 0) return null;
    const pause = this.#paused.get(backendId);
    return pause === undefined ? null : (pause.refusal ?? "wait");
  }

  begin(backendId: number, round: number): void {
    this.end(backendId);
    const holdMs = this.#o.holdMs();
    const refuse = (): void => this.#refuse(backendId, holdMs);
    const pause: Pause = {
      round,
      refusal: null,
      timer: holdMs === 0 ? null : setTimeout(refuse, holdMs),
      running: -1,
      waiting: new Set(),
    };
    this.#paused.set(backendId, pause);
    this.look();
  }

  end(backendId: number): void {
    const pause = this.#paused.get(backendId);
    if (pause === undefined) return;
    this.#paused.delete(backendId);
    if (pause.timer !== null) clearTimeout(pause.timer);
    for (const go of pause.waiting) go(null);
    this.#o.changed();
  }

  /**
   * Calls `go` once, later: with null when the pause is over, with a failure when it was too long.
   *
   * @returns nobody waits any more.
   */
  wait(backendId: number, go: (why: Failure | null) => void): () => void {
    const pause = this.#paused.get(backendId);
    pause?.waiting.add(go);
    return () => pause?.waiting.delete(go);
  }

  /** Tells how much runs on paused backends, when that has changed. */
  look(): void {
    let isOver = true;
    for (const [backendId, pause] of this.#paused) {
      const running = this.#o.countRunning(backendId);
      if (running > 0) isOver = false;
      if (running === pause.running) continue;
      pause.running = running;
      this.#o.tell({ type: "backend-paused", backendId, round: pause.round, running });
    }
    if (isOver || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.look();
    }, LOOK_EVERY_MS);
  }

  #refuse(backendId: number, holdMs: number): void {
    const pause = this.#paused.get(backendId);
    if (pause === undefined) return;
    const detail = `Backend ${backendId} has been paused for ${holdMs} ms.`;
    const why = failure("backend-paused", { detail });
    pause.refusal = why;
    const waiting = [...pause.waiting];
    pause.waiting.clear();
    for (const go of waiting) go(why);
    this.#o.changed();
  }
}
