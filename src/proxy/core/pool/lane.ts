/** Somebody who waits for a connection, in one queue at a time; made once and used again. */
export class LaneWait<T, O> {
  readonly owner: O;
  lane: Lane<T, O> | null = null;
  next: LaneWait<T, O> | null = null;
  before: LaneWait<T, O> | null = null;
  /** A connection of that lane is being opened with what this one knows. */
  opens: Lane<T, O> | null = null;
  sinceMs = 0;

  constructor(owner: O) {
    this.owner = owner;
  }
}

/** What makes connections interchangeable. */
export interface LaneKey {
  readonly backendId: number;
  readonly user: string;
  readonly database: string;
  /** All of it, as text. */
  readonly key: string;
}

/**
 * The shared connections of one kind: those that are idle, the number of all, and who waits,
 * first in, first out. Taking and giving an idle one makes nothing.
 */
export class Lane<T, O> {
  readonly of: LaneKey;
  /** Most connections. */
  readonly max: number;
  /** The one given back last is taken first. */
  readonly idle: T[] = [];
  /** When each idle one came, of the pool's clock. */
  readonly idleSinceMs: number[] = [];
  /** Being opened. */
  opening = 0;
  /** Connections in all, those that are being opened among them. */
  count = 0;
  waiting = 0;
  isPaused = false;
  /** Sessions that hold a reference to it. */
  users = 0;
  /** Connections of an earlier generation are not kept. */
  generation = 0;
  #first: LaneWait<T, O> | null = null;
  #last: LaneWait<T, O> | null = null;

  constructor(of: LaneKey, max: number) {
    this.of = of;
    this.max = max;
  }

  get first(): LaneWait<T, O> | null {
    return this.#first;
  }

  /** One more should be opened, and may be as far as the lane is concerned. */
  get isStarved(): boolean {
    return this.waiting > this.opening && !this.isPaused && this.count < this.max;
  }

  enqueue(wait: LaneWait<T, O>): void {
    wait.lane = this;
    wait.before = this.#last;
    wait.next = null;
    if (this.#last === null) this.#first = wait;
    else this.#last.next = wait;
    this.#last = wait;
    this.waiting += 1;
  }

  /** @returns false when it was not in this queue. */
  dequeue(wait: LaneWait<T, O>): boolean {
    if (wait.lane !== this) return false;
    if (wait.before === null) this.#first = wait.next;
    else wait.before.next = wait.next;
    if (wait.next === null) this.#last = wait.before;
    else wait.next.before = wait.before;
    wait.lane = wait.next = wait.before = null;
    this.waiting -= 1;
    return true;
  }

  /** Who waits longest and lends nothing to an opening yet. */
  nextOpener(): LaneWait<T, O> | null {
    let wait = this.#first;
    while (wait?.opens === this) wait = wait.next;
    return wait;
  }
}
