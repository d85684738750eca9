import type { BackendLink } from "./backend-link.ts";
import type { OutputBuffer } from "./output-buffer.ts";

/** Longer stretches of a batch go out as they lie, not by way of the output buffer. */
const COPIED_BYTES_MAX = 16 * 1024;
const NOTHING = Buffer.alloc(0);

/**
 * The bytes of a batch on their way to one server, with what goes before, or in the place of, some
 * of its messages:
 *
 *     input    | Bind s1 | Execute | Sync |
 *     output   Parse pgquorum/7 | Bind pgquorum/7 |       then the rest as it lies, in the same write
 */
export class BatchBytes {
  input: Buffer = NOTHING;
  /** Where the bytes begin that were not dealt with. */
  #from = 0;
  #end = 0;
  readonly #output: OutputBuffer;

  constructor(output: OutputBuffer) {
    this.#output = output;
  }

  begin(input: Buffer, at: number, end: number): void {
    this.input = input;
    this.#from = at;
    this.#end = end;
    this.#output.clear();
  }

  /** What lies from there on is not sent. */
  stopAt(start: number): void {
    this.#end = start;
  }

  /** Where the message at `start` ends, or what is there of it. */
  stopOf(start: number): number {
    return Math.min(this.#end, start + 1 + this.input.readUInt32BE(start + 1));
  }

  /** Something else goes before the message at `start`, or in its place. */
  copyUpTo(link: BackendLink, start: number): void {
    const length = start - this.#from;
    if (length > COPIED_BYTES_MAX) {
      this.#output.sendTo(link);
      link.send(this.input, this.#from, start);
    } else if (length > 0) this.#output.add(this.input, this.#from, start);
    this.#from = start;
  }

  /** The message at `start`, before which all is dealt with, goes out with another name in it. */
  rename(start: number, nameStart: number, name: Buffer): void {
    const stop = this.stopOf(start);
    const nameEnd = zeroFrom(this.input, nameStart);
    this.#output.addRenamed(this.input, start, stop, nameStart, nameEnd, name);
    this.#from = stop;
  }

  /** And this one does not go out at all. */
  replace(start: number, instead: Buffer): void {
    this.#output.add(instead);
    this.#from = this.stopOf(start);
  }

  finish(link: BackendLink): void {
    const isOneWrite = this.#end - this.#from <= COPIED_BYTES_MAX;
    if (isOneWrite && this.#output.lengthBytes > 0) this.copyUpTo(link, this.#end);
    this.#output.sendTo(link);
    link.send(this.input, this.#from, this.#end);
  }
}

/** Where the string that begins at `start` ends. */
export function zeroFrom(input: Buffer, start: number): number {
  let at = start;
  while (at < input.length && input[at] !== 0) at += 1;
  return at;
}
