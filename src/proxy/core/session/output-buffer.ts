import { HEADER_BYTES } from "../../../wire/postgres/index.ts";
import type { BackendLink } from "./backend-link.ts";

const CAPACITY_BYTES = 16 * 1024;

const NOTHING = Buffer.alloc(0);

/**
 * Messages that are put together to go out in one write. Its bytes are used again and again; there
 * are none before the first message, because many sessions never put any together.
 */
export class OutputBuffer {
  #bytes: Buffer = NOTHING;
  #length = 0;

  get lengthBytes(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
  }

  /** Sends what is there, and is empty again. */
  sendTo(link: BackendLink): void {
    if (this.#length === 0) return;
    link.send(this.#bytes, 0, this.#length);
    this.#length = 0;
    // A write that did not finish at once goes on using the bytes. What a giant batch needed is
    // not kept for ever.
    const isInUse = link.isBlocked || this.#bytes.length > 16 * CAPACITY_BYTES;
    if (isInUse) this.#bytes = NOTHING;
  }

  add(from: Buffer, start = 0, end = from.length): void {
    this.#reserve(end - start);
    if (end - start < 32) {
      // A call to copy costs more than these.
      for (let i = start; i < end; i += 1) this.#bytes[this.#length++] = from[i] as number;
      return;
    }
    from.copy(this.#bytes, this.#length, start, end);
    this.#length += end - start;
  }

  /**
   * A message with another name in it.
   *
   * @param end of what is there of it; its header tells its whole length.
   * @param nameStart up to `nameEnd`: the bytes that are replaced, without the zero behind them.
   */
  addRenamed(
    from: Buffer,
    start: number,
    end: number,
    nameStart: number,
    nameEnd: number,
    name: Buffer,
  ): void {
    const lengthBytes = from.readUInt32BE(start + 1) + name.length - (nameEnd - nameStart);
    this.#reserve(HEADER_BYTES);
    this.#bytes[this.#length] = from[start] as number;
    this.#bytes.writeUInt32BE(lengthBytes, this.#length + 1);
    this.#length += HEADER_BYTES;
    this.add(from, start + HEADER_BYTES, nameStart);
    this.add(name);
    this.add(from, nameEnd, end);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const neededBytes = Math.max(this.#length + more, CAPACITY_BYTES);
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, neededBytes));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
