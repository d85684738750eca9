import type { Log } from "../../os/index.ts";
import type { ClusterView } from "../../wire/ipc/index.ts";
import type { Acquired } from "./backend-pool.ts";
import { askForLife, CLOSED_STATES, type LifeQuestion } from "./sign-of-life.ts";
import type { TimedGate } from "./timed-gate.ts";

const ASK_AGAIN_MS = 100;
/** When nobody waits for it any more. */
const ASK_SELDOM_MS = 1000;
const ANSWER_WITHIN_MS = 1000;

export interface PrimaryWatchOptions extends LifeQuestion {
  readonly log: Log;
  readonly gate: TimedGate;
}

/**
 * A primary that takes no connections, maybe before anybody has decided what is to become of it:
 * what needs it is held, until it answers again or there is another one.
 */
export class PrimaryWatch {
  readonly #o: PrimaryWatchOptions;
  #view: ClusterView | null = null;
  /** The one that is asked again and again. */
  #deafId: number | null = null;
  #timer: NodeJS.Timeout | null = null;
  /** Clients that cannot log in meanwhile. */
  readonly #waiting = new Set<() => void>();

  constructor(o: PrimaryWatchOptions) {
    this.#o = o;
  }

  viewTaken(view: ClusterView): void {
    this.#view = view;
    if (this.#deafId !== null && this.#deafId !== view.primaryId) this.#over();
    this.#go();
  }

  /** What is held for too long is refused: those who log in are tried once more. */
  gateChanged(): void {
    if (!this.#o.gate.awaitsPrimary) this.#go();
  }

  /**
   * No connection came of this attempt.
   *
   * @returns whether that is because the primary takes none, and it is worth to wait for it.
   */
  refused(backendId: number, result: Exclude<Acquired, { kind: "connection" }>): boolean {
    if (backendId !== this.#view?.primaryId) return false;
    const isDeaf =
      result.kind === "failed" ? result.unreachable : CLOSED_STATES.has(result.sqlstate);
    if (!isDeaf) return false;
    if (this.#deafId === null) {
      this.#deafId = backendId;
      const message = `backend ${backendId}, the primary, takes no connections: statements wait for it`;
      const detail = result.kind === "failed" ? (result.failure.detail ?? "") : result.sqlstate;
      this.#o.log.write("warning", message, { detail });
      this.#o.gate.primaryHeard(false);
      this.#askLater();
    }
    return this.#o.gate.awaitsPrimary;
  }

  /** Calls `go` once, when it may be tried again. @returns nobody waits any more. */
  wait(go: () => void): () => void {
    this.#waiting.add(go);
    return () => this.#waiting.delete(go);
  }

  #askLater(): void {
    const inMs = this.#o.gate.awaitsPrimary ? ASK_AGAIN_MS : ASK_SELDOM_MS;
    this.#timer = setTimeout(() => this.#ask(), inMs).unref();
  }

  #ask(): void {
    const id = this.#deafId;
    const backend = this.#view?.backends.find((one) => one.id === id);
    if (id === null || backend === undefined) return;
    askForLife(this.#o, backend, ANSWER_WITHIN_MS, (why) => {
      if (this.#deafId !== id) return;
      if (why !== null) return this.#askLater();
      this.#o.log.write("log", `backend ${id}, the primary, takes connections again`);
      this.#over();
      this.#go();
    });
  }

  #over(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#deafId = null;
    this.#o.gate.primaryHeard(true);
  }

  #go(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const go of waiting) go();
  }
}
