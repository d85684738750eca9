import { Socket } from "node:net";
import {
  handleOf,
  joinErrors,
  KEEP_ALIVE_AFTER_MS,
  LISTENING,
  socketFile,
  type AcceptedClient,
  type ByteSocket,
  type SocketEvents,
  type SocketIo,
  type SocketTarget,
} from "./byte-socket.ts";

/** Makes sockets by Node's documented interface alone. */
export const NET_IO: SocketIo = {
  ...LISTENING,
  kind: "net",
  accept: (accepted, bytes, events) => StreamSocket.ofAccepted(accepted, bytes, events),
  connect: (target, bytes, events) => StreamSocket.connect(target, bytes, events),
};

const NOTHING = Buffer.alloc(0);

class StreamSocket implements ByteSocket {
  readonly #socket: Socket;
  readonly #events: SocketEvents;
  #isBlocked = false;
  #pauses = 0;
  #isClosed = false;
  #cause: Error | null = null;

  private constructor(socket: Socket, events: SocketEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on("error", (error) => {
      this.#cause = error instanceof AggregateError ? joinErrors(error.errors as Error[]) : error;
    });
    socket.on("end", () => this.#closed());
    socket.on("close", () => this.#closed());
    socket.on("connect", () => {
      if (!this.#isClosed) events.connected();
    });
  }

  static ofAccepted(
    accepted: AcceptedClient,
    readBufferBytes: number,
    events: SocketEvents,
  ): StreamSocket {
    let self: StreamSocket | null = null;
    const options = {
      // Only a socket that is made with its buffer can read into it: one that was accepted gives
      // its handle away and is forgotten.
      handle: handleOf(accepted),
      onread: readInto(readBufferBytes, (bytes) => self?.received(bytes)),
      readable: true,
      writable: true,
    };
    self = new StreamSocket(new Socket(options), events);
    return self;
  }

  static connect(
    target: SocketTarget,
    readBufferBytes: number,
    events: SocketEvents,
  ): StreamSocket {
    let self: StreamSocket | null = null;
    const onread = readInto(readBufferBytes, (bytes) => self?.received(bytes));
    const socket = new Socket({ onread } as ConstructorParameters<typeof Socket>[0]);
    self = new StreamSocket(socket, events);
    const path = socketFile(target);
    if (path !== null) socket.connect({ path });
    else {
      socket.connect({ host: target.hostname || "127.0.0.1", port: target.port });
      socket.setNoDelay(true);
      socket.setKeepAlive(true, KEEP_ALIVE_AFTER_MS);
    }
    return self;
  }

  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  get remoteAddress(): string | null {
    return this.#socket.remoteAddress ?? null;
  }

  get localAddress(): string | null {
    return this.#socket.localAddress ?? null;
  }

  get remotePort(): number | null {
    return this.#socket.remotePort ?? null;
  }

  private received(bytes: Buffer): void {
    if (!this.#isClosed) this.#events.received(bytes);
  }

  write(bytes: Buffer, start = 0, end = bytes.length): void {
    if (this.#isClosed) return;
    const socket = this.#socket;
    socket.write(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
    if (socket.writableLength === 0 || this.#isBlocked) return;
    this.#isBlocked = true;
    this.#tellWhenDrained();
  }

  pause(reason: number): void {
    if (this.#pauses === 0) this.#socket.pause();
    this.#pauses |= reason;
  }

  resume(reason: number): void {
    if (this.#pauses === 0) return;
    this.#pauses &= ~reason;
    if (this.#pauses === 0 && !this.#isClosed) this.#socket.resume();
  }

  end(withinMs: number): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const socket = this.#socket;
    const timer = setTimeout(() => socket.destroy(), withinMs);
    socket.once("close", () => clearTimeout(timer));
    socket.end();
    socket.resume();
  }

  destroy(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  #tellWhenDrained(): void {
    // An empty write is called back when all writes before it are through.
    this.#socket.write(NOTHING, () => {
      if (this.#socket.writableLength > 0 && !this.#isClosed) return this.#tellWhenDrained();
      this.#isBlocked = false;
      if (!this.#isClosed) this.#events.drained();
    });
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.destroy();
    this.#events.closed(this.#cause);
  }
}

function readInto(bytesMax: number, received: (bytes: Buffer) => void): object {
  const buffer = Buffer.allocUnsafeSlow(bytesMax);
  return {
    buffer,
    callback: (lengthBytes: number): boolean => {
      received(lengthBytes === bytesMax ? buffer : buffer.subarray(0, lengthBytes));
      return true;
    },
  };
}
