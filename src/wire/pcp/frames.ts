import type { Result } from "../../base/index.ts";
import { fail, succeed } from "../../base/index.ts";

/**
 * A PCP packet, in both directions:
 *
 *     byte    type letter
 *     int32   length; counts itself, not the letter
 *     bytes   payload
 */
export interface PcpFrame {
  readonly type: string;
  readonly payload: Buffer;
}

/** Pgpool-II refuses a request whose length field is 260 or more. */
export const REQUEST_LENGTH_MAX = 259;

/** Replies are bounded only here: the largest is a line of JSON or one row. */
export const REPLY_LENGTH_MAX = 16 * 1024 * 1024;

const HEADER_BYTES = 5;
const LENGTH_FIELD_BYTES = 4;

/**
 * Cuts a stream into packets. Keeps at most one unfinished packet, whose announced length it has
 * checked before; after an error it must not be used again.
 */
export class PcpFramer {
  readonly #lengthMax: number;
  #rest: Buffer = Buffer.alloc(0);

  /** @param lengthMax the largest length field that is accepted. */
  constructor(lengthMax: number) {
    this.#lengthMax = lengthMax;
  }

  /** Errors: `bad-length` when a length field is out of its range. */
  push(input: Buffer): Result<readonly PcpFrame[], "bad-length"> {
    const bytes = this.#rest.length === 0 ? input : Buffer.concat([this.#rest, input]);
    const frames: PcpFrame[] = [];
    let offset = 0;
    while (offset + HEADER_BYTES <= bytes.length) {
      const length = bytes.readInt32BE(offset + 1);
      if (length < LENGTH_FIELD_BYTES || length > this.#lengthMax) return fail("bad-length");
      const end = offset + 1 + length;
      if (end > bytes.length) break; // An unfinished packet waits for the next push.
      const type = String.fromCharCode(bytes.readUInt8(offset));
      frames.push({ type, payload: bytes.subarray(offset + HEADER_BYTES, end) });
      offset = end;
    }
    // A copy, so that a few bytes do not keep a whole chunk of the socket alive.
    this.#rest = Buffer.from(bytes.subarray(offset));
    return succeed(frames);
  }
}

/** @param type one ASCII letter. */
export function encodeFrame(type: string, payload: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + payload.length);
  bytes.writeUInt8(type.charCodeAt(0), 0);
  bytes.writeInt32BE(LENGTH_FIELD_BYTES + payload.length, 1);
  payload.copy(bytes, HEADER_BYTES);
  return bytes;
}

/** C strings, each with its NUL. A NUL within a text would shift all fields behind it: cut there. */
export function encodeTexts(texts: readonly string[]): Buffer {
  return Buffer.from(texts.map((text) => `${text.split("\0", 1)[0] ?? ""}\0`).join(""), "utf8");
}

/** The C strings of a payload; a text without its NUL at the end counts too. */
export function decodeTexts(payload: Buffer): readonly string[] {
  if (payload.length === 0) return [];
  const texts = payload.toString("utf8").split("\0");
  if (texts.at(-1) === "") texts.pop();
  return texts;
}
