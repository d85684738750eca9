import { randomFillSync } from "node:crypto";

const DRAWN_BYTES = 4096;

/**
 * Random bytes for short keys, drawn from the system's generator many at a time: a draw costs as
 * much for one key as for a thousand. No byte is given twice.
 */
export class RandomSupply {
  #drawn = Buffer.alloc(0);
  #given = 0;

  /** @param lengthBytes at most 4096. */
  take(lengthBytes: number): Buffer {
    if (this.#given + lengthBytes > this.#drawn.length) {
      // A new piece of memory: keys that were given are parts of the old one.
      this.#drawn = randomFillSync(Buffer.allocUnsafeSlow(DRAWN_BYTES));
      this.#given = 0;
    }
    this.#given += lengthBytes;
    return this.#drawn.subarray(this.#given - lengthBytes, this.#given);
  }
}
