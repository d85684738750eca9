/** A small client that asks with the simple protocol and counts what comes, without keeping it. */
import { connect, type Socket } from "node:net";
import { AnswerReader } from "./answer-reader.ts";

const HEADER_BYTES = 5;
const PROTOCOL_3_0 = 196_608;

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
  readonly #reader = new AnswerReader();

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
          this.bytes += length;
          if (this.#reader.push(SHARED.subarray(0, length)) > 0) this.#finish();
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
    this.failure ??= this.#reader.failure ?? reason;
    this.#socket.destroy();
    this.#finish();
  }

  #finish(): void {
    this.failure ??= this.#reader.failure;
    const done = this.#done;
    this.#done = null;
    done?.();
  }
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
