/**
 * The door of one worker:
 *
 *     enter ──> a place is free ─────────────────────────> "entered"
 *          └──> queue, first in, first out ──> granted ──> admitted
 *                         └── left, or waited too long, or the queue is full
 *
 * Places are the supervisor's to share (`wire/ipc/places.ts`). Until it says anything, the worker
 * has the share that the configuration gives it, and decides alone.
 */
import { assert, unreachable, type Ms } from "../../../base/index.ts";
import type { ClientCounts, PlacesFromWorker, PlacesToWorker } from "../../../wire/ipc/index.ts";

/** What the configuration says when a client comes. */
export interface AdmissionTerms {
  /** False: it is refused when no place can be had. */
  readonly mayWait: boolean;
  /** Clients that may wait in the whole node. */
  readonly queueMax: number;
  /** Places of the whole node. */
  readonly placesMax: number;
  /** 0 for ever. */
  readonly queueTimeoutMs: Ms;
}

export type Entry = "entered" | "waits" | "refused";

/** Called at once; it may ask for anything of the admission again. */
export interface AdmissionPort<T> {
  tell(message: PlacesFromWorker): void;
  admitted(client: T): void;
  /** Null: not because of the time. */
  refused(client: T, waitedMs: Ms | null): void;
}

interface Waiting<T> {
  readonly client: T;
  readonly sinceMs: Ms;
  readonly untilMs: Ms;
}

/** A client that may not wait is refused by the supervisor, or when it says nothing for so long. */
const VERDICT_WITHIN_MS: Ms = 1000;
/** A shorter wait is a question to the supervisor. */
const NOTED_WAIT_MS: Ms = 10;

export class Admission<T> {
  readonly #port: AdmissionPort<T>;
  /** Those that clients have, and unused ones. */
  #placesCount: number;
  /** The supervisor shares the places. */
  #isGoverned = false;
  /** Somebody in the node waits; the number is to be told back. */
  #round: number | null = null;
  #lastTicket = 0;
  readonly #inside = new Set<T>();
  /** By ticket, and so in the order in which they came. */
  readonly #queue = new Map<number, Waiting<T>>();
  readonly #tickets = new Map<T, number>();
  /** Nobody's time is over before. */
  #expiresAtMs: Ms = Infinity;
  #waited = 0;
  #refused = 0;
  #timedOut = 0;
  #longestWaitMs: Ms = 0;

  constructor(port: AdmissionPort<T>, placesCount: number) {
    this.#port = port;
    this.#placesCount = placesCount;
  }

  get counts(): ClientCounts {
    return {
      clients: this.#inside.size,
      waiting: this.#queue.size,
      waited: this.#waited,
      refused: this.#refused,
      timedOut: this.#timedOut,
      longestWaitMs: this.#longestWaitMs,
    };
  }

  /** Used and unused ones. */
  get placesCount(): number {
    return this.#placesCount;
  }

  /** Since when the first of the queue waits. */
  get oldestSinceMs(): Ms | null {
    const first = this.#queue.values().next();
    return first.done === true ? null : first.value.sinceMs;
  }

  /** When `expire` is due, or null. */
  get wakeAtMs(): Ms | null {
    return this.#expiresAtMs === Infinity ? null : this.#expiresAtMs;
  }

  isWaiting(client: T): boolean {
    return this.#tickets.has(client);
  }

  enter(client: T, terms: AdmissionTerms, nowMs: Ms): Entry {
    assert(!this.#inside.has(client) && !this.#tickets.has(client), "a client enters once");
    if (this.#queue.size === 0 && this.#freeCount() > 0) {
      this.#inside.add(client);
      return "entered";
    }
    // Those that ask for a place that another worker has unused do not count as waiting.
    const askedMax = this.#isGoverned ? terms.placesMax : 0;
    const mayQueue = terms.mayWait || this.#isGoverned;
    if (!mayQueue || this.#queue.size >= terms.queueMax + askedMax) {
      this.#refused += 1;
      return "refused";
    }
    this.#wait(client, terms, nowMs);
    return "waits";
  }

  /** The client is gone, whether it waited or was inside; of others it is no news. */
  leave(client: T, nowMs: Ms): void {
    const ticket = this.#tickets.get(client);
    if (ticket !== undefined) {
      this.#dequeue(ticket);
      this.#port.tell({ type: "place-unwanted", ticket });
    } else if (this.#inside.delete(client)) {
      this.#settle(nowMs);
    }
  }

  take(message: PlacesToWorker, nowMs: Ms): void {
    switch (message.type) {
      case "places":
        this.#isGoverned = true;
        this.#placesCount = message.count;
        this.#round = message.round;
        return;
      case "places-granted":
        this.#placesCount += message.tickets.length + message.spareCount;
        for (const ticket of message.tickets) this.#admit(ticket, nowMs);
        return this.#settle(nowMs);
      case "places-refused":
        for (const ticket of message.tickets) this.#refuse(ticket);
        return;
      case "places-scarce":
        this.#round = message.round;
        if (message.round !== null) this.#giveBack(message.round);
        return;
    }
    return unreachable(message);
  }

  /** Refuses those that have waited too long. */
  expire(nowMs: Ms): void {
    this.#expiresAtMs = Infinity;
    const over: number[] = [];
    for (const [ticket, { untilMs }] of this.#queue) {
      if (untilMs <= nowMs) over.push(ticket);
      else this.#expiresAtMs = Math.min(this.#expiresAtMs, untilMs);
    }
    for (const ticket of over) {
      const waiting = this.#dequeue(ticket);
      if (waiting === null) continue;
      this.#port.tell({ type: "place-unwanted", ticket });
      this.#timedOut += 1;
      this.#noteWait(nowMs - waiting.sinceMs);
      this.#port.refused(waiting.client, nowMs - waiting.sinceMs);
    }
  }

  // ---- helpers ----------------------------------------------------------------------------

  #freeCount(): number {
    return this.#placesCount - this.#inside.size;
  }

  #wait(client: T, terms: AdmissionTerms, nowMs: Ms): void {
    this.#lastTicket += 1;
    const ticket = this.#lastTicket;
    const timeoutMs = terms.queueTimeoutMs === 0 ? Infinity : terms.queueTimeoutMs;
    const untilMs = nowMs + (terms.mayWait ? timeoutMs : VERDICT_WITHIN_MS);
    this.#queue.set(ticket, { client, sinceMs: nowMs, untilMs });
    this.#tickets.set(client, ticket);
    this.#expiresAtMs = Math.min(this.#expiresAtMs, untilMs);
    this.#port.tell({ type: "place-wanted", ticket, sinceMs: nowMs });
  }

  #dequeue(ticket: number): Waiting<T> | null {
    const waiting = this.#queue.get(ticket);
    if (waiting === undefined) return null;
    this.#queue.delete(ticket);
    this.#tickets.delete(waiting.client);
    return waiting;
  }

  /** A client that has left meanwhile leaves its place unused. */
  #admit(ticket: number, nowMs: Ms): void {
    const waiting = this.#dequeue(ticket);
    if (waiting === null) return;
    this.#inside.add(waiting.client);
    this.#noteWait(nowMs - waiting.sinceMs);
    this.#port.admitted(waiting.client);
  }

  #refuse(ticket: number): void {
    const waiting = this.#dequeue(ticket);
    if (waiting === null) return;
    this.#refused += 1;
    this.#port.refused(waiting.client, null);
  }

  /** What is unused goes to whoever waits: here, or by the supervisor to who waits longest. */
  #settle(nowMs: Ms): void {
    if (this.#round !== null) {
      if (this.#freeCount() > 0) this.#giveBack(this.#round);
      return;
    }
    while (this.#freeCount() > 0) {
      const first = this.#queue.entries().next();
      if (first.done === true) return;
      const [ticket] = first.value;
      this.#port.tell({ type: "place-unwanted", ticket });
      this.#admit(ticket, nowMs);
    }
  }

  #giveBack(round: number): void {
    const count = this.#freeCount();
    this.#placesCount -= count;
    this.#port.tell({ type: "places-returned", count, round });
  }

  #noteWait(waitedMs: Ms): void {
    if (waitedMs >= NOTED_WAIT_MS) this.#waited += 1;
    this.#longestWaitMs = Math.max(this.#longestWaitMs, waitedMs);
  }
}
