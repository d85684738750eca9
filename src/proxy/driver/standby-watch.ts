import type { Ms } from "../../base/index.ts";
import { monotonicNowMs, type Log } from "../../os/index.ts";
import type { BackendView, ClusterView } from "../../wire/ipc/index.ts";
import { SilentStandbys } from "../core/routing/index.ts";
import type { ParameterSets } from "../core/session/index.ts";
import { BackendConnection } from "./backend-connection.ts";
import type { SocketIo } from "./byte-socket.ts";

const ASK_AGAIN_MS = 1000;
/** A read that takes its time is no reason to ask a living standby more often. */
const ANSWER_HOLDS_MS = 5000;
/** Where reads may wait for ever, standbys that broke a connection are still asked. */
const ANSWER_WITHIN_MS = 2000;

/** It takes no connections: it starts, stops, or has just crashed. */
const CLOSED_STATES = new Set(["57P01", "57P02", "57P03"]);

export interface StandbyWatchOptions {
  readonly io: SocketIo;
  readonly sets: ParameterSets;
  readonly log: Log;
  /** As whom a standby is asked; it need not let us in. */
  readonly login: () => { readonly user: string; readonly database: string };
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

  /** Any word of the server will do: it is not asked for more than its answer to a start-up packet. */
  #ask(backend: BackendView): void {
    const { io, sets, login, silenceMs } = this.#o;
    const withinMs = silenceMs() === 0 ? ANSWER_WITHIN_MS : silenceMs();
    let isOver = false;
    const over = (why: string | null): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      connection.close();
      this.#told(backend.id, why);
    };
    const timer = setTimeout(() => over(`no answer within ${withinMs} ms`), withinMs);
    const { user, database } = login();
    const connection = new BackendConnection({
      io,
      target: { backendId: backend.id, hostname: backend.hostname, port: backend.port },
      key: "",
      sets,
      parameters: new Map([
        ["user", user],
        ["database", database],
      ]),
      connectTimeoutMs: 0,
      // Never during the call that makes it.
      listener: {
        asked: () => setImmediate(over, null),
        opened: () => setImmediate(over, null),
        refused: (_, fields) => {
          const isClosed = CLOSED_STATES.has(fields.get("C") ?? "");
          setImmediate(over, isClosed ? (fields.get("M") ?? "") : null);
        },
        failed: (why) => setImmediate(over, `${why.message}: ${why.detail ?? ""}`),
      },
    });
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
