import {
  md5Password,
  md5Response,
  SCRAM_REASONS,
  startScramClient,
  longHashing,
  type PoolSecret,
  type ScramClient,
  type ScramHashing,
  type ScramSecret,
} from "../../../auth/index.ts";
import { failure, Secret, type Failure } from "../../../base/index.ts";
import {
  AUTHENTICATION,
  BACKEND,
  buildPassword,
  encodeStartUp,
  FrameWalker,
  HEADER_BYTES,
  PROTOCOL_3_0,
  readErrorFields,
  readKeyData,
  readParameterStatus,
  TAKE,
  type FrameSink,
  type Take,
} from "../../../wire/postgres/index.ts";

/** What PostgreSQL asks of us, named as in pool_hba.conf. */
export type BackendMethod = "trust" | "password" | "md5" | "scram-sha-256";

export interface BackendLoginListener {
  send(bytes: Buffer): void;
  /** Answer with `BackendLogin.proceed`, now or later. `trust` needs no answer. */
  asked(method: BackendMethod): void;
  loggedIn(result: LoggedIn): void;
  /** PostgreSQL's own ErrorResponse, for the client; `bytes` are a copy. */
  refused(bytes: Buffer, fields: ReadonlyMap<string, string>): void;
  /** We cannot log in, or the bytes are not the protocol. */
  failed(why: Failure): void;
  /** Has it hashed and remembered, then calls `done`, later. */
  hash(hashing: ScramHashing, done: () => void): void;
}

export interface LoggedIn {
  readonly parameters: Map<string, string>;
  readonly processId: number;
  readonly cancelKey: Buffer;
  readonly method: BackendMethod;
}

/** Logs in to one backend. Notices on the way are dropped. */
export class BackendLogin implements FrameSink {
  readonly #listener: BackendLoginListener;
  readonly #walker = new FrameWalker(this);
  readonly #user: string;
  readonly #random: Buffer;
  readonly #parameters = new Map<string, string>();
  #method: BackendMethod = "trust";
  #salt: Buffer = Buffer.alloc(4);
  #scram: ScramClient | null = null;
  /** What SCRAM goes by. */
  #password: Secret | ScramSecret | null = null;
  #isHashing = false;
  #isServerProven = false;
  #processId = 0;
  #cancelKey: Buffer = Buffer.alloc(4);
  #isOver = false;

  constructor(o: {
    readonly user: string;
    /** At least 18 random bytes. */
    readonly random: Buffer;
    readonly listener: BackendLoginListener;
  }) {
    this.#user = o.user;
    this.#random = o.random;
    this.#listener = o.listener;
  }

  start(parameters: ReadonlyMap<string, string>): void {
    this.#listener.send(encodeStartUp(parameters, PROTOCOL_3_0));
  }

  push(bytes: Buffer): void {
    const complaint = this.#walker.push(bytes);
    if (complaint !== null)
      this.#fail(`the backend does not speak PostgreSQL's protocol`, complaint);
  }

  /** @param secret what pool_passwd, or the client itself, knows of the user. */
  proceed(secret: PoolSecret | null): void {
    if (this.#isOver || this.#method === "trust") return;
    if (secret === null) {
      const detail = `pool_passwd file does not contain an entry for "${this.#user}"`;
      const hint = "Add the user to pool_passwd with its password, then reload.";
      return this.#fail("password authentication failed", detail, hint);
    }
    const text = secret.kind === "text" ? secret.secret : null;
    if (this.#method === "md5" && (text !== null || secret.kind === "md5")) {
      const stored = text === null ? secret.secret : md5Password(text, this.#user);
      return this.#answer(md5Response(stored, this.#salt));
    }
    if (this.#method === "password" && text !== null) return this.#answer(text.reveal());
    if (this.#method === "scram-sha-256") {
      if (text !== null) return this.#startScram(text);
      if (secret.kind === "scram" && secret.clientKey !== undefined)
        return this.#startScram(secret);
    }
    const detail = `the entry of "${this.#user}" in pool_passwd is of kind ${secret.kind}; the backend asks for ${this.#method}`;
    const hint =
      secret.kind === "scram" && this.#method === "scram-sha-256"
        ? "It opens a backend only for a client that has proven itself by scram-sha-256 or password: see pool_hba.conf. Or write the password as text."
        : "Write the password as text.";
    this.#fail("password authentication failed", detail, hint);
  }

  frameBegan(): Take {
    return TAKE.hold;
  }

  frameEnded(type: number): void {
    if (type === BACKEND.ready) return;
    this.#fail("the backend sent an oversized message during login", `type ${type}`);
  }

  passed(): void {
    // Only frames beyond the bound of held ones come here; frameEnded ends the login.
  }

  frameHeld(type: number, frame: Buffer): void {
    if (this.#isOver) return this.#afterLogin(type, frame);
    switch (type) {
      case BACKEND.authentication:
        return this.#authentication(frame);
      case BACKEND.parameterStatus:
        return this.#afterLogin(type, frame);
      case BACKEND.keyData: {
        const data = readKeyData(frame);
        if (data === null) return;
        this.#processId = data.processId;
        this.#cancelKey = data.key;
        return;
      }
      case BACKEND.error:
        this.#isOver = true;
        return this.#listener.refused(Buffer.from(frame), readErrorFields(frame));
      case BACKEND.ready:
        this.#isOver = true;
        return this.#listener.loggedIn({
          parameters: this.#parameters,
          processId: this.#processId,
          cancelKey: this.#cancelKey,
          method: this.#method,
        });
      case BACKEND.notice:
      case BACKEND.negotiateVersion:
        return;
      default:
        return this.#fail("unexpected message during login", `type ${type}`);
    }
  }

  #afterLogin(type: number, frame: Buffer): void {
    if (type !== BACKEND.parameterStatus) return;
    const parameter = readParameterStatus(frame);
    if (parameter !== null) this.#parameters.set(parameter.name, parameter.value);
  }

  #authentication(frame: Buffer): void {
    if (frame.length < HEADER_BYTES + 4) return this.#fail("malformed authentication request", "");
    const code = frame.readInt32BE(HEADER_BYTES);
    const body = frame.subarray(HEADER_BYTES + 4);
    switch (code) {
      case AUTHENTICATION.ok:
        if (this.#scram === null || this.#isServerProven) return;
        return this.#fail("the backend did not prove that it knows the password", "");
      case AUTHENTICATION.cleartext:
        return this.#ask("password");
      case AUTHENTICATION.md5:
        this.#salt = Buffer.from(body.subarray(0, 4));
        return this.#ask("md5");
      case AUTHENTICATION.sasl:
        if (body.toString("latin1").split("\0").includes("SCRAM-SHA-256")) {
          return this.#ask("scram-sha-256");
        }
        break;
      case AUTHENTICATION.saslContinue:
        return this.#scramStep(body);
      case AUTHENTICATION.saslFinal: {
        const last = this.#scram?.onServerFinal(body);
        this.#isServerProven = last?.ok === true;
        if (this.#isServerProven) return;
        return this.#fail("the backend could not prove that it knows the password", "");
      }
    }
    this.#fail(
      `unsupported auth kind received from backend: authkind:${code}`,
      "trust, password, md5 and scram-sha-256 are supported",
    );
  }

  #ask(method: BackendMethod): void {
    this.#method = method;
    this.#listener.asked(method);
  }

  #startScram(password: Secret | ScramSecret): void {
    this.#password = password;
    this.#scram = startScramClient({ user: this.#user, password, nonceBytes: this.#random });
    const first = this.#scram.first();
    const head = Buffer.from("SCRAM-SHA-256\0");
    const length = Buffer.alloc(4);
    length.writeInt32BE(first.length, 0);
    this.#listener.send(buildPassword(Buffer.concat([head, length, first])));
  }

  #scramStep(serverFirst: Buffer): void {
    const password = this.#password;
    const hashing = password instanceof Secret ? longHashing(password, serverFirst) : null;
    if (this.#isHashing) {
      return this.#fail("SCRAM exchange with the backend failed", SCRAM_REASONS["out-of-order"]);
    }
    if (hashing === null) return this.#scramAnswer(serverFirst);
    this.#isHashing = true;
    const message = Buffer.from(serverFirst);
    this.#listener.hash(hashing, () => {
      this.#isHashing = false;
      if (!this.#isOver) this.#scramAnswer(message);
    });
  }

  #scramAnswer(serverFirst: Buffer): void {
    const next = this.#scram?.onServerFirst(serverFirst);
    if (next?.ok === true) return this.#listener.send(buildPassword(next.value));
    const reason = next === undefined ? "out-of-order" : next.error;
    const hint = reason === "verifier-differs" ? VERIFIER_HINT : undefined;
    this.#fail("SCRAM exchange with the backend failed", SCRAM_REASONS[reason], hint);
  }

  #answer(text: string): void {
    this.#listener.send(buildPassword(Buffer.from(`${text}\0`)));
  }

  #fail(message: string, detail: string, hint?: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const own = { message, detail, ...(hint === undefined ? {} : { hint }) };
    this.#listener.failed(failure("password-failed", own));
  }
}

const VERIFIER_HINT =
  "Write into pool_passwd what rolpassword of pg_authid says on the server, or the password as text.";
