/** A client that speaks PostgreSQL's protocol message by message, for orders no driver sends. */
import { connect, type Socket } from "node:net";

export interface Frame {
  readonly type: string;
  readonly body: Buffer;
}

function message(type: string, body: Buffer | string): Buffer {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const head = Buffer.alloc(5);
  head.write(type, 0, "latin1");
  head.writeUInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value, 0);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value, 0);
  return bytes;
}

/** Messages of a frontend. */
export const say = {
  startUp(parameters: Readonly<Record<string, string>>, protocol = 0x30000): Buffer {
    const pairs = Object.entries(parameters).map(([name, value]) => `${name}\0${value}\0`);
    const body = Buffer.concat([int32(protocol), Buffer.from(`${pairs.join("")}\0`)]);
    return Buffer.concat([int32(body.length + 4), body]);
  },
  query: (text: string): Buffer => message("Q", `${text}\0`),
  parse: (name: string, text: string): Buffer =>
    message("P", Buffer.concat([Buffer.from(`${name}\0${text}\0`), int16(0)])),
  bind(portal: string, name: string, values: readonly (string | null)[] = []): Buffer {
    const parts = [Buffer.from(`${portal}\0${name}\0`), int16(0), int16(values.length)];
    for (const value of values) {
      parts.push(int32(value === null ? -1 : Buffer.byteLength(value)));
      if (value !== null) parts.push(Buffer.from(value));
    }
    return message("B", Buffer.concat([...parts, int16(0)]));
  },
  describe: (kind: "S" | "P", name: string): Buffer => message("D", `${kind}${name}\0`),
  execute: (portal = "", rowsMax = 0): Buffer =>
    message("E", Buffer.concat([Buffer.from(`${portal}\0`), int32(rowsMax)])),
  close: (kind: "S" | "P", name: string): Buffer => message("C", `${kind}${name}\0`),
  sync: (): Buffer => message("S", ""),
  flush: (): Buffer => message("H", ""),
  copyData: (bytes: Buffer | string): Buffer => message("d", bytes),
  copyDone: (): Buffer => message("c", ""),
  copyFail: (why: string): Buffer => message("f", `${why}\0`),
  functionCall: (oid: number): Buffer =>
    message("F", Buffer.concat([int32(oid), int16(0), int16(0), int16(0)])),
  terminate: (): Buffer => message("X", ""),
  any: message,
};

export class RawClient {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  isClosed = false;
  /** Bytes that came before the first frame was expected, such as the answer to SSLRequest. */
  #held: Buffer = Buffer.alloc(0);
  #isFramed: boolean;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket, isFramed: boolean) {
    this.socket = socket;
    this.#isFramed = isFramed;
    socket.on("data", (chunk) => this.#received(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  /** Connects and sends nothing. */
  static async open(port: number, isFramed = true): Promise<RawClient> {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    const client = new RawClient(socket, isFramed);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return client;
  }

  /** Connects as a user who is trusted, up to the first ReadyForQuery. */
  static async login(
    port: number,
    parameters: Readonly<Record<string, string>> = { user: "postgres", database: "bench" },
  ): Promise<RawClient> {
    const client = await RawClient.open(port);
    client.send(say.startUp(parameters));
    await client.ready();
    client.frames.length = 0;
    return client;
  }

  /** Bytes that are not frames. */
  get rest(): Buffer {
    return this.#held;
  }

  send(...messages: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(messages));
  }

  /** Until this many ReadyForQuery are among the frames. */
  async ready(count = 1): Promise<void> {
    await this.until(() => this.count("Z") >= count, `${count} ReadyForQuery`);
  }

  async closed(): Promise<void> {
    await this.until(() => this.isClosed, "the connection to be closed");
  }

  count(type: string): number {
    return this.frames.filter((frame) => frame.type === type).length;
  }

  /** Types of all frames so far, ParameterStatus left out. */
  types(): string {
    return this.frames
      .map((frame) => frame.type)
      .filter((type) => type !== "S")
      .join("");
  }

  /** The fields of the first ErrorResponse. */
  error(): Record<string, string> {
    const frame = this.frames.find((one) => one.type === "E");
    if (frame === undefined) throw new Error(`no error among ${this.types()}`);
    return errorFields(frame);
  }

  async until(test: () => boolean, what: string, timeoutMs = 10_000): Promise<void> {
    const timer = setTimeout(() => this.#wake(), timeoutMs);
    const endsAt = Date.now() + timeoutMs;
    while (!test()) {
      const hasEnded = this.isClosed || Date.now() >= endsAt;
      if (hasEnded) {
        clearTimeout(timer);
        const state = this.isClosed ? "closed" : "open";
        throw new Error(`waited for ${what}; ${state}; got ${this.types()}`);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(timer);
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** Frames are read from now on. */
  startFrames(): void {
    this.#isFramed = true;
    this.#held = Buffer.alloc(0);
  }

  #received(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk]);
    while (this.#isFramed && this.#held.length >= 5) {
      const end = this.#held.readUInt32BE(1) + 1;
      if (this.#held.length < end) break;
      const type = this.#held.toString("latin1", 0, 1);
      this.frames.push({ type, body: Buffer.from(this.#held.subarray(5, end)) });
      this.#held = this.#held.subarray(end);
    }
    this.#wake();
  }
}

export function errorFields(frame: Frame): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const field of frame.body.toString().split("\0")) {
    if (field !== "") fields[field.slice(0, 1)] = field.slice(1);
  }
  return fields;
}
