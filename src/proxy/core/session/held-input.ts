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
    if (this.#bytes === null) return more ?? Buffer.alloc(0);
    if (more === null) return this.#bytes.subarray(0, this.#length);
    const needed = this.#length + more.length;
    if (needed > this.#bytes.length) this.#bytes = this.#copyOf(this.#bytes, 0, needed);
    more.copy(this.#bytes, this.#length);
    this.#length = needed;
    return this.#bytes.subarray(0, needed);
  }

  /** @param input what `join` gave, of which `used` bytes are done with. */
  keep(input: Buffer, used: number): void {
    if (used === input.length) {
      this.#bytes = null;
      this.#length = 0;
      return;
    }
    const isAsBefore = this.#bytes !== null && used === 0;
    if (!isAsBefore) this.#bytes = this.#copyOf(input.subarray(0, input.length), used, 0);
    this.#length = input.length - used;
  }

  #copyOf(from: Buffer, start: number, neededBytes: number): Buffer {
    const wanted = Math.max(neededBytes, from.length - start, CAPACITY_MIN_BYTES / 2) * 2;
    const copy = Buffer.allocUnsafeSlow(wanted);
    from.copy(copy, 0, start);
    return copy;
  }
}
