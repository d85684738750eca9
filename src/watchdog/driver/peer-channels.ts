import "./promise-with-resolvers.ts";
import type { LengthPrefixedStream } from "@libp2p/utils";
import type { Ms } from "../../base/index.ts";
import { monotonicNowMs, type Log } from "../../os/index.ts";
import { decodePeerMessage, type Hello, type PeerMessage } from "../../wire/watchdog/index.ts";

/**
 * One accepted connection between two watchdogs, seen from either end. Pings tell a peer that is
 * gone from one that has nothing to say.
 */
export type Channel = LengthPrefixedStream;

const PING = Buffer.from('{"type":"ping"}');
const PONG = Buffer.from('{"type":"pong"}');

/** The connection this node dialled: messages out, pongs in. */
export class Outbound {
  readonly #channel: Channel;
  #isWriting = false;
  #waiting: Uint8Array[] = [];

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  send(frame: Uint8Array): void {
    // A peer that does not read gets the newest few; it has to catch up anyhow.
    if (this.#waiting.length >= 64) this.#waiting.shift();
    this.#waiting.push(frame);
    if (!this.#isWriting) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#isWriting = true;
    try {
      for (let frame = this.#waiting.shift(); frame !== undefined; frame = this.#waiting.shift()) {
        await this.#channel.write(frame);
      }
    } catch {
      // keepAlive notices the broken connection and ends it.
    }
    this.#isWriting = false;
  }

  /** Pings until the connection ends or a ping stays unanswered for `silenceMs`. */
  async keepAlive(silenceMs: Ms, stopping: AbortSignal): Promise<void> {
    const pinger = setInterval(() => this.send(PING), silenceMs / 3);
    try {
      while (!stopping.aborted) {
        const signal = AbortSignal.any([stopping, AbortSignal.timeout(silenceMs)]);
        await this.#channel.read({ signal });
      }
    } catch {
      // Closed, or silent for too long: the caller dials again.
    }
    clearInterval(pinger);
    if (!stopping.aborted) this.abort();
  }

  async close(): Promise<void> {
    for (let tries = 0; tries < 20 && (this.#isWriting || this.#waiting.length > 0); tries++) {
      await delay(5);
    }
    this.abort();
  }

  abort(): void {
    this.#channel.unwrap().abort(new Error("closed"));
  }
}

/** A connection that a peer dialled: messages in, pongs out. */
export class Inbound {
  readonly hello: Hello;
  readonly #channel: Channel;
  heardAtMs = monotonicNowMs();

  constructor(hello: Hello, channel: Channel) {
    this.hello = hello;
    this.#channel = channel;
  }

  async readAll(onMessage: (message: PeerMessage) => void, log: Log): Promise<void> {
    try {
      for (;;) {
        const frame = (await this.#channel.read()).subarray();
        this.heardAtMs = monotonicNowMs();
        if (PING.equals(frame)) {
          await this.#channel.write(PONG);
          continue;
        }
        const message = decodePeerMessage(frame);
        if (message.ok) onMessage(message.value);
        else log.write("warning", `node ${this.hello.nodeId} sent ${message.error}`);
      }
    } catch {
      // The peer closed the connection or sent no frame: it dials again when it lives.
    }
    this.abort();
  }

  abort(): void {
    this.#channel.unwrap().abort(new Error("closed"));
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
