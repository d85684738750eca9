const SLOTS = 1 << 16;

/**
 * Which situations were seen so far, as a set of hashed numbers. A run that reaches a new one is
 * worth being mutated further; that is all the feedback there is, and it costs next to nothing.
 */
export class Features {
  readonly #seen = new Uint8Array(SLOTS);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Any integers that together name a situation. */
  see(a: number, b = 0, c = 0): void {
    let mixed = Math.imul(a + 0x9e37, 0x85ebca6b) ^ Math.imul(b + 0x79b9, 0xc2b2ae35);
    mixed = Math.imul(mixed ^ (mixed >>> 15) ^ Math.imul(c + 1, 0x27d4eb2f), 0x165667b1);
    const slot = (mixed ^ (mixed >>> 13)) & (SLOTS - 1);
    if (this.#seen[slot] !== 0) return;
    this.#seen[slot] = 1;
    this.#count += 1;
  }
}
