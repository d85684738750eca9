import type { Ms } from "../../base/index.ts";
import { monotonicNowMs, type Log } from "../../os/index.ts";
import type { BackendView, ClusterView } from "../../wire/ipc/index.ts";
import { SilentStandbys } from "../core/routing/index.ts";
import { askForLife, type LifeQuestion } from "./sign-of-life.ts";

const ASK_AGAIN_MS = 1000;
/** A read that takes its time is no reason to ask a living standby more often. */
const ANSWER_HOLDS_MS = 5000;
/** Where reads may wait for ever, standbys that broke a connection are still asked. */
const ANSWER_WITHIN_MS = 2000;

export interface StandbyWatchOptions extends LifeQuestion {
  readonly log: Log;
  /** How long a standby may say nothing; 0 for as long as it likes. */
  readonly silenceMs: () => Ms;
  /** Sessions are to take the view anew. */
  readonly changed: () => void;
}

/** Asks standbys that sessions have trouble with whether they still live, and remembers who does not. */
export class StandbyWatch {
  readonly #o: StandbyWatchOptions;
  readonly #standbys = new SilentStandbys();
  readonly #answeredAtMs: (number | undefined)[] = [];
  #view: ClusterView | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(o: StandbyWatchOptions) {
    this.#o = o;
  }

  /** @returns the view as sessions shall take it. */
  take(view: ClusterView): ClusterView {
    this.#view = view;
    this.#standbys.viewTaken(view);
    return this.#standbys.seenBy(view);
  }

  /** A connection to this backend broke, or could not be opened. */
  suspect(backendId: number): void {
    const backend = this.#standby(backendId);
    if (backend !== null && this.#standbys.suspect(backendId)) this.#ask(backend);
  }

  /** A read waits there for long. */
  awaited(backendId: number): void {
    const answeredAtMs = this.#answeredAtMs[backendId];
    if (answeredAtMs !== undefined && monotonicNowMs() - answeredAtMs < ANSWER_HOLDS_MS) return;
    this.suspect(backendId);
  }

  #standby(backendId: number): BackendView | null {
    const view = this.#view;
    if (view === null || view.primaryId === null || view.primaryId === backendId) return null;
    return view.backends.find((one) => one.id === backendId) ?? null;
  }

  #ask(backend: BackendView): void {
    const { silenceMs } = this.#o;
    const withinMs = silenceMs() === 0 ? ANSWER_WITHIN_MS : silenceMs();
    askForLife(this.#o, backend, withinMs, (why) => this.#told(backend.id, why));
  }

  #told(backendId: number, why: string | null): void {
    if (why === null) this.#answeredAtMs[backendId] = monotonicNowMs();
    const news = this.#standbys.told(backendId, why === null);
    if (!this.#standbys.isEmpty) this.#askAgainLater();
    if (news === "silent") {
      const message = `backend ${backendId} gives no sign of life: its reads go elsewhere`;
      this.#o.log.write("warning", message, { detail: why ?? "" });
    }
    if (news === "again") {
      this.#o.log.write("log", `backend ${backendId} answers again: reads may go there`);
    }
    if (news !== "nothing") this.#o.changed();
  }

  #askAgainLater(): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      for (const id of this.#standbys.silent) {
        const backend = this.#standby(id);
        if (backend !== null) this.#ask(backend);
      }
    }, ASK_AGAIN_MS).unref();
  }
}
