/** Buffers of a slab: few enough to fill it, many enough that slabs are made seldom. */
const SLOTS_PER_SLAB = 64;

/**
 * A read buffer that a socket has for as long as it lives. A slow write of another socket may still
 * refer to it after that: it goes back to its slab when both are done with it.
 */
export class ReadSlot {
  readonly view: Buffer;
  readonly #free: ReadSlot[];
  #uses = 0;

  constructor(view: Buffer, free: ReadSlot[]) {
    this.view = view;
    this.#free = free;
  }

  use(): this {
    this.#uses += 1;
    return this;
  }

  release(): void {
    this.#uses -= 1;
    if (this.#uses === 0) this.#free.push(this);
  }
}

/**
 * Read buffers of one size, cut from large pieces of memory and used again after a socket closed, so
 * that a new connection costs no allocation and leaves nothing to collect. Memory that no message
 * ever reached stays untouched, and so costs nothing: buffers may be generous.
 */
export class ReadSlabs {
  readonly #slotBytes: number;
  readonly #free: ReadSlot[] = [];
  /** To find the buffer that some bytes are in. */
  readonly #slotsOf = new Map<ArrayBufferLike, readonly ReadSlot[]>();

  constructor(slotBytes: number) {
    this.#slotBytes = slotBytes;
  }

  take(): ReadSlot {
    const slot = this.#free.pop();
    return (slot ?? this.#grow()).use();
  }

  /** Null: these bytes are in none of these buffers. */
  slotOf(bytes: Buffer): ReadSlot | null {
    const slots = this.#slotsOf.get(bytes.buffer);
    return slots?.[Math.floor(bytes.byteOffset / this.#slotBytes)] ?? null;
  }

  #grow(): ReadSlot {
    const slab = Buffer.allocUnsafeSlow(SLOTS_PER_SLAB * this.#slotBytes);
    const slots: ReadSlot[] = [];
    for (let start = 0; start < slab.length; start += this.#slotBytes) {
      slots.push(new ReadSlot(slab.subarray(start, start + this.#slotBytes), this.#free));
    }
    this.#slotsOf.set(slab.buffer, slots);
    const [first, ...others] = slots as [ReadSlot, ...ReadSlot[]];
    this.#free.push(...others.toReversed());
    return first;
  }
}
