import { readString } from "../../../wire/postgres/index.ts";

/** Longer names are read anew each time; PostgreSQL cuts them at 63 anyhow. */
const NAME_BYTES_KEPT_MAX = 64;

const NOTHING = new Uint8Array(0);

/**
 * Reads the names of statements and portals. Clients say the same name over and over, so the last
 * one is known again from its bytes, without a new string.
 */
export class NameReader {
  /** Many clients name nothing. */
  #bytes: Uint8Array = NOTHING;
  #lengthBytes = 0;
  #name = "";

  /** The string that begins at `start`; null when it does not end before `end`. */
  read(bytes: Buffer, start: number, end: number): string | null {
    const last = this.#lengthBytes;
    if (start < end && bytes[start] === 0) return "";
    if (last > 0 && start + last < end && bytes[start + last] === 0) {
      let i = 0;
      while (i < last && bytes[start + i] === this.#bytes[i]) i += 1;
      if (i === last) return this.#name;
    }
    const name = readString(bytes, start, end);
    if (name !== null) this.#keep(name, bytes, start);
    return name;
  }

  #keep(name: string, bytes: Buffer, start: number): void {
    const zero = bytes.indexOf(0, start);
    if (zero - start > NAME_BYTES_KEPT_MAX) return;
    if (this.#bytes === NOTHING) this.#bytes = new Uint8Array(NAME_BYTES_KEPT_MAX);
    for (let at = start; at < zero; at += 1) this.#bytes[at - start] = bytes[at] as number;
    this.#lengthBytes = zero - start;
    this.#name = name;
  }
}
