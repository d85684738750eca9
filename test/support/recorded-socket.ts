import type { SocketEvents } from "../../src/proxy/driver/byte-socket.ts";

/** Notes what happens on a socket, and waits for it. */
export class RecordedEvents implements SocketEvents {
  readonly #parts: Buffer[] = [];
  #waiting: (() => void)[] = [];
  onReceived: ((bytes: Buffer) => void) | null = null;
  receivedCount = 0;
  drainedCount = 0;
  closedCount = 0;
  lengthBytes = 0;
  isConnected = false;
  cause: Error | null = null;

  received(bytes: Buffer): void {
    this.#parts.push(Buffer.from(bytes));
    this.receivedCount += 1;
    this.lengthBytes += bytes.length;
    this.onReceived?.(bytes);
    this.#changed();
  }

  drained(): void {
    this.drainedCount += 1;
    this.#changed();
  }

  connected(): void {
    this.isConnected = true;
    this.#changed();
  }

  closed(cause: Error | null): void {
    this.closedCount += 1;
    this.cause = cause;
    this.#changed();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  get text(): string {
    return this.bytes.toString();
  }

  async until(isTrue: (events: this) => boolean): Promise<void> {
    while (!isTrue(this)) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  #changed(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Bytes whose place can be told from what they are. */
export function pattern(lengthBytes: number): Buffer {
  const words = new Uint32Array(Math.ceil(lengthBytes / 4));
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 0x9e37_79b1);
  return Buffer.from(words.buffer, 0, lengthBytes);
}
