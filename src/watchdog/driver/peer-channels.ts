import type { MessageStream } from "@libp2p/interface";
import { assert, type Ms } from "../../base/index.ts";
import { monotonicNowMs } from "../../os/index.ts";
import {
  decodePeerMessage,
  FRAME_BYTES_MAX,
  type Hello,
  type PeerMessage,
} from "../../wire/watchdog/index.ts";

const LENGTH_BYTES = 4;
/** Frames that wait for a peer that does not read. It has to catch up anyhow. */
const UNSENT_MAX = 64;
const NOTHING = Buffer.alloc(0);

/**
 * Frames on one encrypted connection: 4 bytes of length, big-endian, then the frame. What arrives
 * is authentic and in order, or the connection has ended: every Noise message is sealed under a
 * key of this connection and its number on it.
 */
export class FrameChannel {
  readonly #stream: MessageStream;
  #received: Buffer = NOTHING;
  #unsent: Buffer[] = [];
  #onFrame: ((frame: Buffer) => void) | null = null;
  #onEnd: ((problem: string | null) => void) | null = null;
  /** How it ended: a sentence when the bytes were not what a member sends, else null. */
  #end: { readonly problem: string | null } | null = null;

  constructor(stream: MessageStream) {
    this.#stream = stream;
    stream.addEventListener("message", ({ data }) => this.#receive(data.subarray()));
    stream.addEventListener("drain", () => this.#flush());
    stream.addEventListener("remoteCloseWrite", () => this.#endWith(null));
    stream.addEventListener("close", (event) => this.#endWith(problemOf(event.error)));
  }

  /** The frames go out together: one seal, one write, one segment. */
  send(...frames: readonly Uint8Array[]): void {
    if (this.#end !== null) return;
    if (this.#unsent.length >= UNSENT_MAX) this.#unsent.shift();
    this.#unsent.push(pack(frames));
    if (!this.#stream.writableNeedsDrain) this.#flush();
  }

  get hasUnsent(): boolean {
    return this.#unsent.length > 0 || this.#stream.writableNeedsDrain;
  }

  /** The first frame. Rejects when the connection ends before, or the signal fires. */
  async first(signal: AbortSignal): Promise<Buffer> {
    return await new Promise((resolve, reject) => {
      const give = (): void => {
        this.#onFrame = null;
        this.#onEnd = null;
        signal.removeEventListener("abort", onAbort);
      };
      const onAbort = (): void => {
        give();
        reject(signal.reason instanceof Error ? signal.reason : new Error("no answer in time"));
      };
      if (signal.aborted) return onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      this.start(
        (frame) => {
          give();
          resolve(frame);
        },
        (problem) => {
          give();
          reject(new Error(problem ?? "the connection was closed"));
        },
      );
    });
  }

  /** @param onEnd told once, with what was wrong with the peer's bytes, if anything was. */
  start(onFrame: (frame: Buffer) => void, onEnd: (problem: string | null) => void): void {
    assert(this.#onFrame === null, "a channel has one reader");
    this.#onFrame = onFrame;
    this.#onEnd = onEnd;
    this.#deliver();
    if (this.#end !== null) this.#tellEnd();
  }

  abort(): void {
    this.#endWith(null);
    this.#stream.abort(new Error("closed"));
  }

  #receive(bytes: Uint8Array): void {
    if (this.#end !== null) return;
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    this.#deliver();
  }

  #deliver(): void {
    while (this.#onFrame !== null && this.#received.length >= LENGTH_BYTES) {
      const lengthBytes = this.#received.readUInt32BE(0);
      if (lengthBytes > FRAME_BYTES_MAX) return this.#fail(`a frame of ${lengthBytes} bytes`);
      const end = LENGTH_BYTES + lengthBytes;
      if (this.#received.length < end) break;
      const frame = this.#received.subarray(LENGTH_BYTES, end);
      this.#received = this.#received.length === end ? NOTHING : this.#received.subarray(end);
      this.#onFrame(frame);
    }
    // Nobody sends so much before it is asked to.
    if (this.#received.length > 2 * FRAME_BYTES_MAX) this.#fail("more than one frame at a time");
  }

  #flush(): void {
    try {
      while (this.#unsent.length > 0 && !this.#stream.writableNeedsDrain) {
        const bytes = this.#unsent.shift();
        if (bytes !== undefined) this.#stream.send(bytes);
      }
    } catch {
      // Closed in between: its end is told by another event.
    }
  }

  #fail(problem: string): void {
    this.#endWith(problem);
    this.#stream.abort(new Error(problem));
  }

  #endWith(problem: string | null): void {
    if (this.#end !== null) return;
    const isCut = problem === null && this.#received.length > 0;
    this.#end = { problem: isCut ? "it ended in the middle of a frame" : problem };
    this.#unsent = [];
    this.#tellEnd();
  }

  #tellEnd(): void {
    const onEnd = this.#onEnd;
    this.#onFrame = null;
    this.#onEnd = null;
    onEnd?.(this.#end?.problem ?? null);
  }
}

function pack(frames: readonly Uint8Array[]): Buffer {
  const bytes = frames.reduce((sum, frame) => sum + LENGTH_BYTES + frame.length, 0);
  const packed = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const frame of frames) {
    at = packed.writeUInt32BE(frame.length, at);
    packed.set(frame, at);
    at += frame.length;
  }
  return packed;
}

/** Null: the connection broke, as connections do. */
function problemOf(error: Error | undefined): string | null {
  if (error === undefined) return null;
  const isOrdinary =
    "code" in error || error.name === "TimeoutError" || error.name === "StreamResetError";
  if (isOrdinary || /^(closed|TCP transmission error)$/.test(error.message)) return null;
  const isForged = /chacha|authenticate|Invalid chunk/i.test(error.message);
  return isForged ? "a message is not authentic: changed, replayed or spliced in" : error.message;
}

const PING = Buffer.from('{"type":"ping"}');
const PONG = Buffer.from('{"type":"pong"}');

/**
 * The connection this node dialled: messages out, pongs in. A ping goes along with a message when
 * one is due, so that a busy connection costs nothing more.
 */
export class Outbound {
  readonly #channel: FrameChannel;
  readonly #silenceMs: Ms;
  #heardAtMs = monotonicNowMs();
  #pingedAtMs = this.#heardAtMs;
  #isSilent = false;

  constructor(channel: FrameChannel, silenceMs: Ms) {
    this.#channel = channel;
    this.#silenceMs = silenceMs;
  }

  send(frame: Uint8Array): void {
    if (this.#isPingDue(monotonicNowMs())) this.#channel.send(frame, PING);
    else this.#channel.send(frame);
  }

  /** To be called every half of `silenceMs`. */
  look(): void {
    const nowMs = monotonicNowMs();
    if (nowMs - this.#heardAtMs > this.#silenceMs) {
      this.#isSilent = true;
      this.#channel.abort();
    } else if (this.#isPingDue(nowMs)) this.#channel.send(PING);
  }

  /** Resolves when the connection has ended. */
  async ended(): Promise<{ readonly problem: string | null; readonly isSilent: boolean }> {
    return await new Promise((resolve) => {
      this.#channel.start(
        () => (this.#heardAtMs = monotonicNowMs()),
        (problem) => resolve({ problem, isSilent: this.#isSilent }),
      );
    });
  }

  async close(): Promise<void> {
    for (let tries = 0; tries < 20 && this.#channel.hasUnsent; tries++) await delay(5);
    this.#channel.abort();
  }

  abort(): void {
    this.#channel.abort();
  }

  #isPingDue(nowMs: Ms): boolean {
    if (nowMs - this.#pingedAtMs < this.#silenceMs * 0.45) return false;
    this.#pingedAtMs = nowMs;
    return true;
  }
}

/** A connection that a peer dialled: messages in, pongs out. */
export class Inbound {
  readonly hello: Hello;
  readonly #channel: FrameChannel;
  heardAtMs = monotonicNowMs();

  constructor(hello: Hello, channel: FrameChannel) {
    this.hello = hello;
    this.#channel = channel;
  }

  /** Resolves when the connection has ended, with what was wrong with the peer's bytes, if so. */
  async readAll(
    onMessage: (message: PeerMessage) => void,
    onMalformed: (why: string) => void,
  ): Promise<string | null> {
    return await new Promise((resolve) => {
      this.#channel.start((frame) => {
        this.heardAtMs = monotonicNowMs();
        if (PING.equals(frame)) return this.#channel.send(PONG);
        const message = decodePeerMessage(frame);
        if (message.ok) onMessage(message.value);
        else onMalformed(message.error);
      }, resolve);
    });
  }

  abort(): void {
    this.#channel.abort();
  }
}

/** Waits; ends early, without an error, when the signal fires. */
export async function delay(ms: Ms, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
  });
}
