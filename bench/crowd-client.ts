/** A small client that asks with the simple protocol and counts what comes, without keeping it. */
import { connect, type Socket } from "node:net";

const HEADER_BYTES = 5;
const READY = 0x5a; // Z
const ERROR = 0x45; // E
const PROTOCOL_3_0 = 196_608;
const ERROR_CHARS_MAX = 200;

/** One for all: what is in it is used up before another socket reads. */
const SHARED = Buffer.allocUnsafe(256 * 1024);

export class CrowdClient {
  /** Since `forget`. */
  answers = 0;
  bytes = 0;
  failure: string | null = null;
  /** Resolves when it may ask, or has failed. */
  readonly opened: Promise<void>;

  readonly #socket: Socket;
  /** Called at the next ReadyForQuery, or when it fails. */
  #done: (() => void) | null = null;
  /** Of a message's header that came in two parts. */
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  /** Of the message under way; what remains of it after its header. */
  #type = 0;
  #remaining = 0;

  constructor(o: { readonly port: number; readonly user: string; readonly database: string }) {
    this.opened = new Promise((resolve) => {
      this.#done = resolve;
    });
    this.#socket = connect({
      host: "127.0.0.1",
      port: o.port,
      noDelay: true,
      onread: {
        buffer: SHARED,
        callback: (length) => {
          this.#read(length);
          return true;
        },
      },
    });
    this.#socket.on("error", (error) => this.giveUp(error.message));
    this.#socket.on("close", () => this.giveUp("the connection was closed"));
    this.#socket.write(startUp(o.user, o.database));
  }

  /** Never rejects: see `failure`. Resolves when the answer is complete. */
  ask(sql: string): Promise<void> {
    if (this.failure !== null) return Promise.resolve();
    return new Promise((resolve) => {
      this.#done = () => {
        if (this.failure === null) this.answers += 1;
        resolve();
      };
      this.#socket.write(queryMessage(sql));
    });
  }

  forget(): void {
    this.answers = 0;
    this.bytes = 0;
  }

  giveUp(reason: string): void {
    this.failure ??= reason;
    this.#socket.destroy();
    this.#finish();
  }

  #finish(): void {
    const done = this.#done;
    this.#done = null;
    done?.();
  }

  #read(length: number): void {
    this.bytes += length;
    let at = 0;
    while (at < length) {
      if (this.#remaining > 0) {
        const skipped = Math.min(this.#remaining, length - at);
        if (this.#type === ERROR) this.failure ??= errorText(SHARED.subarray(at, at + skipped));
        this.#remaining -= skipped;
        at += skipped;
      } else {
        at += this.#readHeader(at, length);
      }
      if (this.#headerBytes === 0 && this.#remaining === 0 && this.#type === READY) {
        this.#type = 0;
        this.#finish();
      }
    }
  }

  /** @returns how many bytes of it there were. */
  #readHeader(at: number, length: number): number {
    const found = Math.min(HEADER_BYTES - this.#headerBytes, length - at);
    if (found === HEADER_BYTES) {
      this.#type = SHARED[at] ?? 0;
      this.#remaining = SHARED.readUInt32BE(at + 1) - 4;
      return found;
    }
    SHARED.copy(this.#header, this.#headerBytes, at, at + found);
    this.#headerBytes += found;
    if (this.#headerBytes === HEADER_BYTES) {
      this.#headerBytes = 0;
      this.#type = this.#header[0] ?? 0;
      this.#remaining = this.#header.readUInt32BE(1) - 4;
    }
    return found;
  }
}

/** The field M of an ErrorResponse, or of the part of it that is here. */
function errorText(body: Buffer): string {
  const fields = body.toString("utf8").split("\0");
  const message = fields.find((field) => field.startsWith("M")) ?? "M(no message)";
  return message.slice(1, ERROR_CHARS_MAX);
}

function startUp(user: string, database: string): Buffer {
  const body = Buffer.from(`user\0${user}\0database\0${database}\0\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8, 0);
  head.writeUInt32BE(PROTOCOL_3_0, 4);
  return Buffer.concat([head, body]);
}

const messages = new Map<string, Buffer>();

function queryMessage(sql: string): Buffer {
  const known = messages.get(sql);
  if (known !== undefined) return known;
  const body = Buffer.from(`${sql}\0`);
  const head = Buffer.alloc(HEADER_BYTES);
  head.write("Q");
  head.writeUInt32BE(body.length + 4, 1);
  const message = Buffer.concat([head, body]);
  messages.set(sql, message);
  return message;
}
