import type { Ms } from "../base/index.ts";

/**
 * The right to run a command. It ends at its moment unless it is extended before, and what runs
 * by it is killed then. Moments are of the monotonic clock; Infinity is a right without an end.
 */
export class CommandRight {
  readonly #watchers = new Set<(untilMs: Ms) => void>();
  #untilMs: Ms;

  constructor(untilMs: Ms) {
    this.#untilMs = untilMs;
  }

  get untilMs(): Ms {
    return this.#untilMs;
  }

  extend(untilMs: Ms): void {
    if (untilMs <= this.#untilMs || this.#untilMs === -Infinity) return;
    this.#set(untilMs);
  }

  /** At once and for ever. */
  end(): void {
    this.#set(-Infinity);
  }

  /** @returns what ends the watching. */
  watch(watcher: (untilMs: Ms) => void): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  #set(untilMs: Ms): void {
    this.#untilMs = untilMs;
    for (const watcher of this.#watchers) watcher(untilMs);
  }
}
