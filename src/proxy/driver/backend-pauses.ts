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

type Wait = (why: Failure | null) => void;

interface Hold {
  refusal: Failure | null;
  timer: NodeJS.Timeout | null;
  /** Clients that cannot log in meanwhile. */
  readonly waiting: Set<Wait>;
}

/** By an administrator. */
interface Pause {
  readonly hold: Hold;
  readonly round: number;
  /** What the supervisor was told last. */
  running: number;
}

/**
 * Backends on which nothing begins for the time being. What runs there ends as it will, in its own
 * time; how much that still is, the supervisor is told until nothing is left.
 */
export class BackendPauses {
  readonly #o: BackendPausesOptions;
  readonly #paused = new Map<number, Pause>();
  /** The one that a switchover takes out of service, whatever administrators do. */
  #draining: { readonly backendId: number; readonly hold: Hold } | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(o: BackendPausesOptions) {
    this.#o = o;
  }

  /** Null: it is not paused. A failure: it was for so long that nobody waits for it any more. */
  of(backendId: number): "wait" | Failure | null {
    // Asked for every statement.
    if (this.#paused.size === 0 && this.#draining === null) return null;
    const hold = this.#holdOf(backendId);
    return hold === null ? null : (hold.refusal ?? "wait");
  }

  /** Paused by an administrator. */
  isPaused(backendId: number): boolean {
    return this.#paused.has(backendId);
  }

  begin(backendId: number, round: number): void {
    this.end(backendId);
    const hold = this.#newHold((ms) => {
      const detail = `Backend ${backendId} has been paused for ${ms} ms.`;
      return failure("backend-paused", { detail });
    });
    this.#paused.set(backendId, { hold, round, running: -1 });
    this.look();
  }

  end(backendId: number): void {
    const pause = this.#paused.get(backendId);
    if (pause === undefined) return;
    this.#paused.delete(backendId);
    this.#endHold(pause.hold);
  }

  /** A switchover takes this one out of service; null: none does, any more. */
  drain(backendId: number | null): void {
    const before = this.#draining;
    if (backendId === (before?.backendId ?? null)) return;
    const why = (ms: number): Failure => {
      return failure("no-primary", { detail: `A switchover has been under way for ${ms} ms.` });
    };
    this.#draining = backendId === null ? null : { backendId, hold: this.#newHold(why) };
    if (before !== null) this.#endHold(before.hold);
  }

  /**
   * Calls `go` once, later: with null when the pause is over, with a failure when it was too long.
   *
   * @returns nobody waits any more.
   */
  wait(backendId: number, go: Wait): () => void {
    const hold = this.#holdOf(backendId);
    hold?.waiting.add(go);
    return () => hold?.waiting.delete(go);
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

  #holdOf(backendId: number): Hold | null {
    if (this.#draining?.backendId === backendId) return this.#draining.hold;
    return this.#paused.get(backendId)?.hold ?? null;
  }

  #newHold(why: (ms: number) => Failure): Hold {
    const hold: Hold = { refusal: null, timer: null, waiting: new Set() };
    const holdMs = this.#o.holdMs();
    if (holdMs > 0) hold.timer = setTimeout(() => this.#refuse(hold, why(holdMs)), holdMs);
    return hold;
  }

  #refuse(hold: Hold, why: Failure): void {
    hold.refusal = why;
    const waiting = [...hold.waiting];
    hold.waiting.clear();
    for (const go of waiting) go(why);
    this.#o.changed();
  }

  #endHold(hold: Hold): void {
    if (hold.timer !== null) clearTimeout(hold.timer);
    for (const go of hold.waiting) go(null);
    this.#o.changed();
  }
}
