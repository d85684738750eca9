/** Follows what a server sends without keeping it: where an answer ends, and what went wrong. Pure. */

const HEADER_BYTES = 5;
const READY = 0x5a; // Z
const ERROR = 0x45; // E
const ERROR_CHARS_MAX = 200;

export class AnswerReader {
  /** The message of the first ErrorResponse, or of the part of it that came at once. */
  failure: string | null = null;

  readonly #header = Buffer.alloc(HEADER_BYTES);
  /** Of a header that came in two parts. */
  #headerBytes = 0;
  /** Of the message under way; what remains of it after its header. */
  #type = 0;
  #remaining = 0;

  /** @returns how many ReadyForQuery ended in these bytes. */
  push(input: Buffer): number {
    let ready = 0;
    let at = 0;
    while (at < input.length) {
      if (this.#remaining === 0) at += this.#readHeader(input, at);
      const skipped = Math.min(this.#remaining, input.length - at);
      if (this.#type === ERROR && skipped > 0) {
        this.failure ??= errorText(input.subarray(at, at + skipped));
      }
      this.#remaining -= skipped;
      at += skipped;
      if (this.#type === READY && this.#remaining === 0) {
        this.#type = 0;
        ready += 1;
      }
    }
    return ready;
  }

  /** @returns how many bytes of it there were. */
  #readHeader(input: Buffer, at: number): number {
    const found = Math.min(HEADER_BYTES - this.#headerBytes, input.length - at);
    this.#type = 0;
    if (found === HEADER_BYTES) {
      this.#type = input[at] ?? 0;
      this.#remaining = input.readUInt32BE(at + 1) - 4;
      return found;
    }
    input.copy(this.#header, this.#headerBytes, at, at + found);
    this.#headerBytes += found;
    if (this.#headerBytes === HEADER_BYTES) {
      this.#headerBytes = 0;
      this.#type = this.#header[0] ?? 0;
      this.#remaining = this.#header.readUInt32BE(1) - 4;
    }
    return found;
  }
}

/** The field M of an ErrorResponse. */
function errorText(body: Buffer): string {
  const fields = body.toString("utf8").split("\0");
  const message = fields.find((field) => field.startsWith("M")) ?? "M(no message)";
  return message.slice(1, ERROR_CHARS_MAX);
}
