/** Told what became of a message that was sent with a watcher. */
export interface ReplyWatcher {
  /** The description or CommandComplete that answers it, where it was sent with LEARNS. */
  described?(frame: Buffer): void;
  /**
   * An error answered it, and `ended` may follow; or the server skipped it after an earlier error,
   * and that is all.
   */
  failed(wasSkipped: boolean): void;
  /** Its reply is complete. */
  ended(): void;
}

const EMPTY_SIZE = 4;

/** First in, first out; a ring that grows, so that a queue that comes and goes makes nothing new. */
export class WatcherQueue {
  /** A power of two of places. */
  #ring: (ReplyWatcher | null)[] = [];
  #first = 0;
  #count = 0;

  get first(): ReplyWatcher | undefined {
    return this.#count === 0 ? undefined : (this.#ring[this.#first] ?? undefined);
  }

  push(watcher: ReplyWatcher): void {
    if (this.#count === this.#ring.length) this.#grow();
    this.#ring[this.#place(this.#count)] = watcher;
    this.#count += 1;
  }

  shift(): ReplyWatcher | undefined {
    return this.takeFrom(0);
  }

  /** The one that has `ahead` others before it. */
  takeFrom(ahead: number): ReplyWatcher | undefined {
    if (ahead >= this.#count) return undefined;
    const taken = this.#ring[this.#place(ahead)];
    for (let i = ahead; i > 0; i -= 1) {
      this.#ring[this.#place(i)] = this.#ring[this.#place(i - 1)] as ReplyWatcher;
    }
    this.#ring[this.#first] = null;
    this.#first = this.#place(1);
    this.#count -= 1;
    return taken ?? undefined;
  }

  #place(index: number): number {
    return (this.#first + index) & (this.#ring.length - 1);
  }

  #grow(): void {
    const grown: (ReplyWatcher | null)[] = [];
    for (let i = 0; i < this.#count; i += 1) grown.push(this.#ring[this.#place(i)] ?? null);
    const size = Math.max(EMPTY_SIZE, 2 * this.#count);
    while (grown.length < size) grown.push(null);
    this.#ring = grown;
    this.#first = 0;
  }
}
