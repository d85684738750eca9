import { failure, type Failure, type Ms } from "../../base/index.ts";
import { monotonicNowMs } from "../../os/index.ts";
import type { ClientCounts, FromWorker, PlacesToWorker } from "../../wire/ipc/index.ts";
import { Admission } from "../core/admission/index.ts";
import type { Settings } from "./worker-context.ts";

/** A client as far as its place goes. */
export interface PlaceTaker {
  /** Its turn has come. */
  admitted(): void;
  /** Tells it why, and closes. */
  shutDown(why: Failure): void;
}

export interface ClientPlacesOptions<T> {
  readonly settings: () => Settings;
  readonly tell: (message: FromWorker) => void;
  /** It has a place from now on; called before it is told so. */
  readonly onAdmitted: (client: T) => void;
}

/** The admission of this worker's clients, with its clock and its words. */
export class ClientPlaces<T extends PlaceTaker> {
  readonly #settings: () => Settings;
  readonly #admission: Admission<T>;
  /** As at the start: these wait for a restart. */
  readonly #most: number;
  readonly #reserved: number;
  readonly #queueMaxUnset: number;
  #timer: NodeJS.Timeout | null = null;
  #timerAtMs: Ms = Infinity;

  constructor(o: ClientPlacesOptions<T>) {
    const { config, clientsMax } = o.settings();
    this.#settings = o.settings;
    this.#most = config.num_init_children;
    this.#reserved = config.reserved_connections;
    this.#queueMaxUnset = config.num_init_children * config.listen_backlog_multiplier;
    this.#admission = new Admission<T>(
      {
        tell: o.tell,
        admitted: (client) => {
          o.onAdmitted(client);
          client.admitted();
        },
        refused: (client, waitedMs) => client.shutDown(this.#refusal(waitedMs)),
      },
      clientsMax,
    );
  }

  get counts(): ClientCounts {
    return this.#admission.counts;
  }

  get placesCount(): number {
    return this.#admission.placesCount;
  }

  /** How long who waits longest has waited; 0 when nobody does. */
  get oldestWaitMs(): Ms {
    const { oldestSinceMs } = this.#admission;
    return oldestSinceMs === null ? 0 : Math.round(monotonicNowMs() - oldestSinceMs);
  }

  isWaiting(client: T): boolean {
    return this.#admission.isWaiting(client);
  }

  /** @returns a failure for a client that is not let in; it has to be told. */
  enter(client: T): "entered" | "waits" | Failure {
    const { queue_max: queueMax, queue_timeout: queueTimeoutMs } = this.#settings().config;
    const terms = {
      mayWait: this.#reserved === 0,
      queueMax: queueMax === 0 ? this.#queueMaxUnset : queueMax,
      placesMax: this.#most - this.#reserved,
      queueTimeoutMs,
    };
    const entry = this.#admission.enter(client, terms, monotonicNowMs());
    if (entry === "refused") return this.#refusal(null);
    if (entry === "waits") this.#setTimer();
    return entry;
  }

  left(client: T): void {
    this.#admission.leave(client, monotonicNowMs());
  }

  take(message: PlacesToWorker): void {
    this.#admission.take(message, monotonicNowMs());
  }

  // ---- helpers ----------------------------------------------------------------------------

  /** One that fires before it has to finds nothing to do, and is set again. */
  #setTimer(): void {
    const { wakeAtMs } = this.#admission;
    if (wakeAtMs === null || this.#timerAtMs <= wakeAtMs) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAtMs = wakeAtMs;
    this.#timer = setTimeout(() => this.#expire(), Math.max(1, wakeAtMs - monotonicNowMs() + 1));
  }

  #expire(): void {
    this.#timer = null;
    this.#timerAtMs = Infinity;
    this.#admission.expire(monotonicNowMs());
    this.#setTimer();
  }

  #refusal(waitedMs: Ms | null): Failure {
    const reserved = this.#reserved;
    const all = `All ${this.#most - reserved} places for clients of this node are taken`;
    if (reserved > 0) {
      const detail = `${all}, and with reserved_connections = ${reserved} nobody may wait for one.`;
      return failure("too-many-clients", { detail, hint: HINTS.reserved });
    }
    if (waitedMs !== null) {
      const detail = `${all}, and none became free within ${Math.round(waitedMs / 100) / 10} s.`;
      return failure("too-many-clients", { detail, hint: HINTS.timedOut });
    }
    const detail = `${all}, and as many clients as may do so wait for one.`;
    return failure("too-many-clients", { detail, hint: HINTS.queueFull });
  }
}

const HINTS = {
  reserved: "Raise num_init_children, or set reserved_connections = 0 to let clients wait.",
  timedOut:
    "Raise num_init_children, or queue_timeout to wait longer, or let clients disconnect when they are done.",
  queueFull:
    "Raise num_init_children, or queue_max to let more clients wait, or let clients disconnect when they are done.",
};
