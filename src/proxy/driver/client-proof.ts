import { randomBytes } from "node:crypto";
import type { PoolSecret } from "../../auth/index.ts";
import { failure, type Failure } from "../../base/index.ts";
import { FRONTEND, HEADER_BYTES } from "../../wire/postgres/index.ts";
import {
  ClientLogin,
  PASSWORD_BYTES_MAX,
  type BackendMethod,
  type ClientMethod,
} from "../core/session/index.ts";
import type { ByteSocket } from "./byte-socket.ts";
import { PAUSE } from "./client-session.ts";
import type { Settings } from "./worker-context.ts";

const NOTHING = Buffer.alloc(0);

/** How a client proves who it is, to us or to the backends, between its start-up packet and its session. */
export class ClientProof {
  readonly #socket: ByteSocket;
  readonly #settings: Settings;
  readonly #user: string;
  readonly #refuse: (why: Failure) => void;
  readonly #close: () => void;
  #login: ClientLogin | null = null;
  /** What the client has said and nobody has read. */
  #bytes: Buffer;
  #then: ((secret: PoolSecret | null) => void) | null = null;
  #secret: PoolSecret | null;
  #isProven = false;
  #isRelayed = false;

  constructor(o: {
    readonly socket: ByteSocket;
    readonly settings: Settings;
    readonly user: string;
    /** What came behind the start-up packet. */
    readonly bytes: Buffer;
    readonly refuse: (why: Failure) => void;
    readonly close: () => void;
  }) {
    this.#socket = o.socket;
    this.#settings = o.settings;
    this.#user = o.user;
    this.#bytes = o.bytes;
    this.#refuse = o.refuse;
    this.#close = o.close;
    this.#secret = o.settings.users.get(o.user)?.secret ?? null;
  }

  /** No proof is asked of it. */
  trust(): void {
    this.#isProven = true;
  }

  ask(method: ClientMethod, then: (secret: PoolSecret | null) => void): void {
    const login = new ClientLogin({
      method,
      user: this.#user,
      secret: this.#secret,
      isRelayed: this.#isRelayed,
      random: randomBytes(22),
      saltSeed: this.#settings.saltSeed,
    });
    this.#login = login;
    this.#then = then;
    this.#socket.write(login.start());
    if (this.#bytes.length > 0) this.received(NOTHING);
  }

  received(bytes: Buffer): void {
    const input = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    this.#bytes = Buffer.from(input);
    if (this.#login === null) {
      // Statements of a client that does not wait to be let in: they wait, and so does what follows.
      if (input.length > PASSWORD_BYTES_MAX) this.#socket.pause(PAUSE.login);
      return;
    }
    if (input.length < HEADER_BYTES) return;
    const lengthBytes = input.readUInt32BE(1);
    if (input[0] === FRONTEND.terminate) return this.#close();
    if (input[0] !== FRONTEND.password || lengthBytes < 4 || lengthBytes > PASSWORD_BYTES_MAX) {
      const message = `expected password response, got message type ${input[0]}`;
      return this.#refuse(failure("protocol-violation", { message }));
    }
    if (input.length < lengthBytes + 1) return;
    this.#bytes = Buffer.from(input.subarray(lengthBytes + 1));
    this.#answered(this.#login, input.subarray(0, lengthBytes + 1));
  }

  #answered(login: ClientLogin, frame: Buffer): void {
    const step = login.answered(frame);
    switch (step.kind) {
      case "send":
        return this.#socket.write(step.bytes);
      case "refused":
        return this.#refuse(step.failure);
      case "accepted": {
        if (step.bytes !== null) this.#socket.write(step.bytes);
        this.#login = null;
        this.#isProven = true;
        // A password of the file's stays the same object: with it is remembered what was hashed.
        if (step.shown !== null && this.#secret?.kind !== "text") this.#secret = step.shown;
        const then = this.#then;
        this.#then = null;
        return then?.(this.#secret);
      }
    }
  }

  /** PostgreSQL (or a cached connection that it once asked this of) wants proof. */
  prove(method: BackendMethod, proceed: (secret: PoolSecret | null) => void): void {
    const go = (): void => proceed(this.towardsBackend());
    if (this.#isProven || method === "trust") return go();
    if (this.#login !== null) {
      // It is being asked already, for another connection that is opened for it.
      const others = this.#then;
      this.#then = (secret) => {
        others?.(secret);
        go();
      };
      return;
    }
    if (this.#secret === null && this.#settings.config.allow_clear_text_frontend_auth) {
      this.#isRelayed = true;
      return this.ask("password", go);
    }
    this.ask(method, go);
  }

  towardsBackend(): PoolSecret | null {
    return this.#settings.users.get(this.#user)?.backend?.secret ?? this.#secret;
  }

  /** The password that opens a backend is the client's own word, as no file knows it. */
  get isOfClientsWord(): boolean {
    const { config } = this.#settings;
    if (this.#isRelayed) return true;
    return (
      this.#secret === null && !config.enable_pool_hba && config.allow_clear_text_frontend_auth
    );
  }

  /** What the client has said already to its session. */
  takeEarly(): Buffer {
    const early = this.#bytes;
    this.#bytes = NOTHING;
    return early;
  }

  /** The client is gone. */
  end(): void {
    this.#login = null;
    this.#then = null;
  }
}
