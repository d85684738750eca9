/** A little that waits for its turn, mostly a whole message, is kept as long as it is. */
const EXACT_BYTES_MAX = 2048;
const CAPACITY_MIN_BYTES = 4096;

/**
 * The part of the client's stream that cannot be dealt with yet. Empty for a client whose
 * messages arrive whole; only what must be held is copied. Bytes that were used are never written
 * over, because a slow write may still refer to them.
 */
export class HeldInput {
  #bytes: Buffer | null = null;
  #length = 0;

  get lengthBytes(): number {
    return this.#length;
  }

  /** What was held with `more` behind it, as one view. */
  join(more: Buffer | null): Buffer {
    const held = this.#bytes;
    if (held === null) return more ?? NOTHING;
    if (more === null) return held.length === this.#length ? held : held.subarray(0, this.#length);
    const needed = this.#length + more.length;
    const bytes = needed > held.length ? copyOf(held, 0, this.#length, needed * 2) : held;
    more.copy(bytes, this.#length);
    this.#bytes = bytes;
    this.#length = needed;
    return bytes.subarray(0, needed);
  }

  /** These bytes come before all that is held. */
  unshift(bytes: Buffer): void {
    const held = this.join(null);
    this.#bytes = held.length === 0 ? bytes : Buffer.concat([bytes, held]);
    this.#length = this.#bytes.length;
  }

  /** @param input what `join` gave, of which `used` bytes are done with. */
  keep(input: Buffer, used: number): void {
    const length = input.length - used;
    if (length === 0) {
      this.#bytes = null;
    } else if (this.#bytes === null || used > 0) {
      const isLittle = length <= EXACT_BYTES_MAX;
      this.#bytes = copyOf(input, used, input.length, isLittle ? length : length * 2);
    }
    this.#length = length;
  }
}

const NOTHING = Buffer.alloc(0);

function copyOf(from: Buffer, start: number, end: number, capacityBytes: number): Buffer {
  // Little ones share a slab: no memory of their own has to be found and given back.
  const isLittle = capacityBytes <= EXACT_BYTES_MAX;
  const copy = isLittle
    ? Buffer.allocUnsafe(capacityBytes)
    : Buffer.allocUnsafeSlow(Math.max(capacityBytes, CAPACITY_MIN_BYTES));
  from.copy(copy, 0, start, end);
  return copy;
}
