/**
 * Remembers classes by text, within a bound of entries and of text. When it is full a hand goes
 * round and drops the first entry that was not used since it last came by (the clock algorithm):
 * a hit costs one look-up and one flag.
 */
import { assert } from "../../../base/index.ts";

interface Entry<V> {
  readonly key: string;
  readonly value: V;
  used: boolean;
}

export class TextCache<V> {
  readonly #entries = new Map<string, Entry<V>>();
  readonly #ring: (Entry<V> | null)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #entriesMax: number;
  readonly #charsMax: number;
  #chars = 0;
  #hand = 0;

  constructor(entriesMax: number, charsMax: number) {
    assert(entriesMax >= 1, `a cache of ${entriesMax} entries`);
    this.#entriesMax = entriesMax;
    this.#charsMax = charsMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  get chars(): number {
    return this.#chars;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    entry.used = true;
    return entry.value;
  }

  /** A key that alone would take more than an eighth of the room is not kept. */
  put(key: string, value: V): void {
    if (key.length > this.#charsMax / 8 || this.#entries.has(key)) return;
    while (this.#entries.size >= this.#entriesMax || this.#chars + key.length > this.#charsMax) {
      this.#dropOne();
    }
    const entry: Entry<V> = { key, value, used: false };
    this.#ring[this.#freeSlots.pop() ?? this.#ring.length] = entry;
    this.#entries.set(key, entry);
    this.#chars += key.length;
  }

  /** Ends after two rounds at most, as the first takes every flag away. */
  #dropOne(): void {
    for (let steps = 0; steps <= 2 * this.#ring.length; steps++) {
      const slot = this.#hand;
      this.#hand = (this.#hand + 1) % this.#ring.length;
      const entry = this.#ring[slot];
      if (entry?.used === false) {
        this.#ring[slot] = null;
        this.#freeSlots.push(slot);
        this.#entries.delete(entry.key);
        this.#chars -= entry.key.length;
        return;
      }
      if (entry) entry.used = false;
    }
    assert(false, "a full cache has an entry to drop");
  }
}
