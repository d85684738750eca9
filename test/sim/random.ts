/**
 * Deterministic numbers (mulberry32): the same on every version of Node, since only integer
 * multiplication and exact floating-point operations take part.
 */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    const state = this.#state;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  between(min: number, max: number): number {
    return min + this.next() * (max - min);
  }

  /** 0 to count - 1. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[this.below(list.length)];
    if (picked === undefined) throw new Error("nothing to pick from");
    return picked;
  }

  /** Every order of magnitude equally often: short lengths find other faults than long ones. */
  magnitude(min: number, max: number): number {
    let doublings = 0;
    while (min * 2 ** (doublings + 1) <= max) doublings += 1;
    const low = min * 2 ** this.below(doublings + 1);
    return this.between(low, Math.min(low * 2, max));
  }

  /** A sequence of its own: drawing from it leaves this one as it is. */
  fork(salt: number): Random {
    return new Random(Math.imul(this.#state ^ Math.imul(salt + 1, 0x9e3779b1), 0x85ebca6b));
  }
}
