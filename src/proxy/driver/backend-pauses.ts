import { failure, type Failure, type Ms } from "../../base/index.ts";
import { monotonicNowMs } from "../../os/index.ts";
import type { FromWorker } from "../../wire/ipc/index.ts";

/** How often it is looked whether all that ran has ended. */
const LOOK_EVERY_MS: Ms = 20;
/** So often, and for so long at most, while a switchover waits for it. */
const CALM_EVERY_MS: Ms = 5;
const CALM_WITHIN_MS: Ms = 100;

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

interface Draining {
  readonly backendId: number;
  readonly hold: Hold;
  readonly calmUntilMs: Ms;
}

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
  #draining: Draining | null = null;
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
    const calmUntilMs = monotonicNowMs() + CALM_WITHIN_MS;
    this.#draining =
      backendId === null ? null : { backendId, hold: this.#newHold(why), calmUntilMs };
    if (before !== null) this.#endHold(before.hold);
  }

  /**
   * Calls `go` when nothing runs on the server that a switchover drains, or soon after its
   * beginning: what a busy server has not read yet shows in none of its views, so it would be
   * taken for drained and stopped. What it has read by then, it shows.
   */
  whenCalm(go: () => void): void {
    const draining = this.#draining;
    const isCalm =
      draining === null ||
      monotonicNowMs() >= draining.calmUntilMs ||
      this.#o.countRunning(draining.backendId) === 0;
    if (isCalm) go();
    else setTimeout(() => this.whenCalm(go), CALM_EVERY_MS);
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
