/**
 * Remembers what was found out about a text, within a bound of entries and of bytes. A look-up
 * makes no string and no object: it hashes the words of a template and compares them.
 *
 *     hash ──> a set of 8 places ──> same hash, same length, same words?
 *
 * The hash is never trusted, and clients may know how to make equal ones: they then contend for
 * the 8 places of one set. When there is no room a hand goes round, over the set or over the
 * whole table, and drops the first entry that was not used since it last came by (the clock
 * algorithm).
 */
import { assert } from "../../../base/index.ts";
import type { Template } from "./template.ts";

export interface ClassTableOptions {
  readonly entriesMax: number;
  readonly bytesMax: number;
  /** Any whole number; different ones spread the same texts differently. */
  readonly hashSeed: number;
}

interface Entry<V> {
  readonly words: Int32Array;
  readonly lengthBytes: number;
  readonly value: V;
  used: boolean;
}

/** Places in a set. */
const WAYS = 8;

export class ClassTable<V> {
  readonly #o: ClassTableOptions;
  readonly #hashes: Int32Array;
  readonly #entries: (Entry<V> | null)[];
  /** Of the table, counted in sets. */
  readonly #setMask: number;
  #size = 0;
  #bytes = 0;
  #hand = 0;

  constructor(o: ClassTableOptions) {
    assert(o.entriesMax >= 1, `a table of ${o.entriesMax} entries`);
    this.#o = o;
    // Half empty at least, so that hardly any set is full before the table is.
    let sets = 1;
    while (sets * WAYS < 2 * o.entriesMax) sets *= 2;
    this.#setMask = sets - 1;
    this.#hashes = new Int32Array(sets * WAYS);
    this.#entries = Array.from({ length: sets * WAYS }, () => null);
  }

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param salt keeps texts of several kinds apart. */
  get(template: Template, salt: number): V | undefined {
    const hash = this.#hashOf(template, salt);
    const first = this.#firstOf(hash);
    for (let place = first; place < first + WAYS; place++) {
      if (this.#hashes[place] !== hash) continue;
      const entry = this.#entries[place];
      if (entry === null || entry === undefined || !isSame(entry, template)) continue;
      entry.used = true;
      return entry.value;
    }
    return undefined;
  }

  /** What alone would take more than an eighth of the room is not kept. */
  put(template: Template, salt: number, value: V): void {
    const { lengthBytes } = template;
    const { entriesMax, bytesMax } = this.#o;
    if (lengthBytes > bytesMax / 8 || this.get(template, salt) !== undefined) return;
    while (this.#size >= entriesMax || this.#bytes + lengthBytes > bytesMax) {
      const dropped = this.#dropOne(0, this.#entries.length, this.#hand);
      this.#hand = (dropped + 1) % this.#entries.length;
    }
    const hash = this.#hashOf(template, salt);
    const first = this.#firstOf(hash);
    let place = this.#entries.indexOf(null, first);
    if (place < 0 || place >= first + WAYS) place = this.#dropOne(first, WAYS, first);
    const words = template.words.slice(0, template.wordCount);
    this.#entries[place] = { words, lengthBytes, value, used: false };
    this.#hashes[place] = hash;
    this.#size++;
    this.#bytes += lengthBytes;
  }

  /**
   * Drops one of `count` places from `first` on, looking at `start` first. Ends after two rounds
   * at most, as the first takes every flag away.
   *
   * @returns the place that is free now.
   */
  #dropOne(first: number, count: number, start: number): number {
    for (let steps = 0; steps <= 2 * count; steps++) {
      const place = first + ((start - first + steps) % count);
      const entry = this.#entries[place];
      if (entry === null || entry === undefined) continue;
      if (!entry.used) {
        this.#entries[place] = null;
        this.#size--;
        this.#bytes -= entry.lengthBytes;
        return place;
      }
      entry.used = false;
    }
    assert(false, "a full table has an entry to drop");
  }

  #firstOf(hash: number): number {
    return (hash & this.#setMask) * WAYS;
  }

  #hashOf(template: Template, salt: number): number {
    const { words, wordCount } = template;
    // Two lanes, so that the processor need not wait for one multiplication before the next.
    let hash = this.#o.hashSeed ^ salt ^ template.lengthBytes;
    let other = ~hash;
    for (let i = 0; i < wordCount; i += 2) {
      hash = Math.imul(hash ^ (words[i] as number), 0x85eb_ca6b);
      hash ^= hash >>> 15;
      // A word behind the last one is left over from a longer text.
      other = Math.imul(other ^ (i + 1 < wordCount ? (words[i + 1] as number) : 0), 0xc2b2_ae35);
      other ^= other >>> 13;
    }
    hash = Math.imul(hash ^ other, 0xc2b2_ae35);
    return hash ^ (hash >>> 16);
  }
}

function isSame<V>(entry: Entry<V>, template: Template): boolean {
  if (entry.lengthBytes !== template.lengthBytes) return false;
  const { words } = entry;
  const { words: others } = template;
  for (let i = 0; i < words.length; i++) if (words[i] !== others[i]) return false;
  return true;
}
