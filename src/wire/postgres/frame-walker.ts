import { LARGE_MESSAGE_BYTES_MAX } from "./codes.ts";

/** What the sink wants done with a frame whose type and length are known. */
export const TAKE = {
  /** Hand the bytes on in spans as they arrive; `frameEnded` is not called. */
  pass: 0,
  /** As `pass`, and call `frameEnded` when the last byte is there. */
  passAndTell: 1,
  /** Drop the bytes, and call `frameEnded`. */
  swallow: 2,
  /** Gather the whole frame and give it to `frameHeld`; bounded by `HELD_BYTES_MAX`. */
  hold: 3,
  /** As `pass`, after `frameShown`, where it has come whole; else as `hold`. */
  show: 4,
} as const;
export type Take = (typeof TAKE)[keyof typeof TAKE];

export interface FrameSink {
  frameBegan(type: number, lengthBytes: number): Take;
  /** @param lastByte the status, for ReadyForQuery. */
  frameEnded(type: number, lastByte: number): void;
  /** The frame with its header; a view that is valid only during the call. */
  frameHeld(type: number, frame: Buffer): void;
  /** A whole frame that will be handed on; a view that is valid only during the call. */
  frameShown?(type: number, frame: Buffer): void;
  /** Bytes to hand on, in order; a view of the input that is valid only during the call. */
  passed(input: Buffer, start: number, end: number): void;
}

/** A message that must be held whole (errors, parameters) but is longer is passed on instead. */
export const HELD_BYTES_MAX = 64 * 1024;

const NO_HEADER = Buffer.alloc(0);

/**
 * Walks the frames of a stream in place:
 *
 *     chunk   | D..... | D.....   | Z | E... |   one `passed` for neighbours that are handed on,
 *             \_______ passed ________/  held    so that a chunk costs one write
 *
 * No object is made per frame; only a frame that is held across chunks is copied. The sink may call
 * `flush` to have everything before the current frame handed on first.
 */
export class FrameWalker {
  readonly #sink: FrameSink;
  /** Bytes of the current frame still to come; 0 between frames. */
  #remaining = 0;
  #type = 0;
  #take: Take = TAKE.pass;
  /** A header cut by the end of a chunk, from the first such one on; its bytes were not handed on yet. */
  #header: Buffer = NO_HEADER;
  #headerBytes = 0;
  #held: Buffer | null = null;
  #heldBytes = 0;
  #input: Buffer | null = null;
  #spanStart = 0;
  #spanEnd = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** True when the stream stands between two frames. */
  get isBetweenFrames(): boolean {
    return this.#remaining === 0 && this.#headerBytes === 0;
  }

  /** Part of a frame was handed on and the rest has not come. */
  get isInPassedFrame(): boolean {
    return this.#remaining > 0 && (this.#take === TAKE.pass || this.#take === TAKE.passAndTell);
  }

  /** @returns null, or why the bytes cannot be the protocol. */
  push(input: Buffer, start = 0, end = input.length): string | null {
    let offset = start;
    this.#input = input;
    this.#spanStart = this.#spanEnd = start;
    while (offset < end) {
      if (this.#remaining > 0) {
        offset = this.#continueFrame(input, offset, end);
        continue;
      }
      if (this.#headerBytes > 0 || end - offset < 5) {
        // The rare way: a header that arrives in pieces goes through its own five bytes.
        if (this.#header === NO_HEADER) this.#header = Buffer.alloc(5);
        const wanted = Math.min(5 - this.#headerBytes, end - offset);
        input.copy(this.#header, this.#headerBytes, offset, offset + wanted);
        this.#headerBytes += wanted;
        offset += wanted;
        if (this.#headerBytes < 5) break;
        this.#headerBytes = 0;
        const why = this.#begin(this.#header[0] ?? 0, this.#header.readUInt32BE(1));
        if (why !== null) return this.#give(why);
        this.flush();
        this.#feedHeader();
        this.#spanStart = this.#spanEnd = offset;
        continue;
      }
      const type = input[offset] as number;
      const length =
        ((input[offset + 1] as number) << 24) |
        ((input[offset + 2] as number) << 16) |
        ((input[offset + 3] as number) << 8) |
        (input[offset + 4] as number);
      const why = this.#begin(type, length);
      if (why !== null) return this.#give(why);
      this.#remaining = length + 1;
      offset = this.#continueFrame(input, offset, end);
    }
    return this.#give(null);
  }

  /** Hands on what stands before the current frame. */
  flush(): void {
    if (this.#spanEnd > this.#spanStart && this.#input !== null) {
      const start = this.#spanStart;
      this.#spanStart = this.#spanEnd;
      this.#sink.passed(this.#input, start, this.#spanEnd);
    }
  }

  #give(why: string | null): string | null {
    this.flush();
    this.#input = null;
    return why;
  }

  #begin(type: number, lengthBytes: number): string | null {
    if (lengthBytes < 4 || lengthBytes > LARGE_MESSAGE_BYTES_MAX + 4) {
      return `message type 0x${type.toString(16)} claims ${lengthBytes >>> 0} bytes`;
    }
    this.#type = type;
    this.#take = this.#sink.frameBegan(type, lengthBytes);
    const mayHold = this.#take === TAKE.hold || this.#take === TAKE.show;
    if (mayHold && lengthBytes > HELD_BYTES_MAX) this.#take = TAKE.passAndTell;
    this.#remaining = lengthBytes - 4;
    return null;
  }

  /** The five bytes of a header that came in pieces, treated like the body that follows. */
  #feedHeader(): void {
    const body = this.#remaining;
    this.#remaining = body + 5;
    const input = this.#input;
    // A private copy: the sink may keep a span until its write has finished.
    const header = Buffer.from(this.#header);
    this.#input = header;
    this.#spanStart = this.#spanEnd = 0;
    this.#continueFrame(header, 0, 5);
    this.flush();
    this.#input = input;
  }

  #continueFrame(input: Buffer, offset: number, end: number): number {
    const stop = end - offset < this.#remaining ? end : offset + this.#remaining;
    const isLast = stop - offset === this.#remaining;
    switch (this.#take) {
      case TAKE.pass:
      case TAKE.passAndTell:
        this.#extend(offset, stop);
        this.#remaining -= stop - offset;
        if (isLast && this.#take === TAKE.passAndTell) {
          this.#sink.frameEnded(this.#type, input[stop - 1] as number);
        }
        break;
      case TAKE.swallow:
        this.flush();
        this.#spanStart = this.#spanEnd = stop;
        this.#remaining -= stop - offset;
        if (isLast) this.#sink.frameEnded(this.#type, input[stop - 1] as number);
        break;
      case TAKE.show:
        if (isLast) {
          this.#extend(offset, stop);
          this.#remaining = 0;
          this.#sink.frameShown?.(this.#type, input.subarray(offset, stop));
          break;
        }
        this.#take = TAKE.hold;
        return this.#continueFrame(input, offset, end);
      case TAKE.hold:
        this.flush();
        this.#spanStart = this.#spanEnd = stop;
        this.#hold(input, offset, stop);
        break;
    }
    return stop;
  }

  #extend(start: number, end: number): void {
    if (this.#spanEnd !== start) {
      this.flush();
      this.#spanStart = start;
    }
    this.#spanEnd = end;
  }

  #hold(input: Buffer, start: number, end: number): void {
    const length = end - start;
    if (this.#held === null) {
      if (length === this.#remaining) {
        this.#remaining = 0;
        this.#sink.frameHeld(this.#type, input.subarray(start, end));
        return;
      }
      this.#held = Buffer.allocUnsafe(this.#remaining);
      this.#heldBytes = 0;
    }
    input.copy(this.#held, this.#heldBytes, start, end);
    this.#heldBytes += length;
    this.#remaining -= length;
    if (this.#remaining > 0) return;
    const frame = this.#held;
    this.#held = null;
    this.#sink.frameHeld(this.#type, frame);
  }
}
