import {
  SCRAM_ITERATIONS,
  SCRAM_MESSAGE_BYTES_MAX,
  SCRAM_REASONS,
  scramSaltFor,
  startScramServer,
  verifyCleartext,
  verifyMd5,
  type PoolSecret,
  type ScramReason,
  type ScramServer,
  type ScramServerSecret,
} from "../../../auth/index.ts";
import { failure, Secret, type Failure } from "../../../base/index.ts";
import {
  AUTHENTICATION,
  buildAuthentication,
  HEADER_BYTES,
  readString,
} from "../../../wire/postgres/index.ts";

export type ClientMethod = "md5" | "password" | "scram-sha-256";

export type LoginStep =
  | { readonly kind: "send"; readonly bytes: Buffer }
  /** `bytes` are still to be sent; AuthenticationOk comes later, from the session's start. */
  | {
      readonly kind: "accepted";
      readonly bytes: Buffer | null;
      /** What the client has shown of its secret, and is good enough for a backend. */
      readonly shown: PoolSecret | null;
    }
  | { readonly kind: "refused"; readonly failure: Failure };

/** An answer longer than this is refused before it is buffered. */
export const PASSWORD_BYTES_MAX = SCRAM_MESSAGE_BYTES_MAX + 256;

const SCRAM = "SCRAM-SHA-256";

/** Has one client prove that it knows the secret of its user in pool_passwd. */
export class ClientLogin {
  readonly #method: ClientMethod;
  readonly #user: string;
  readonly #secret: PoolSecret | null;
  /** A password is taken as it is: the backend will judge it. */
  readonly #isRelayed: boolean;
  readonly #salt: Buffer;
  readonly #scram: ScramServer | null;
  #isFirst = true;

  constructor(o: {
    readonly method: ClientMethod;
    readonly user: string;
    readonly secret: PoolSecret | null;
    readonly isRelayed: boolean;
    /** At least 22 random bytes. */
    readonly random: Buffer;
    /** Keeps the made-up salt of an unknown user the same from one attempt to the next. */
    readonly saltSeed: Buffer;
  }) {
    this.#method = o.method;
    this.#user = o.user;
    this.#secret = o.secret;
    this.#isRelayed = o.isRelayed;
    this.#salt = o.random.subarray(0, 4);
    this.#scram =
      o.method === "scram-sha-256"
        ? startScramServer({
            secret: scramSecret(o.secret),
            nonceBytes: o.random.subarray(4),
            saltBytes: scramSaltFor(o.saltSeed, o.user),
            iterations: SCRAM_ITERATIONS,
          })
        : null;
  }

  /** The question. */
  start(): Buffer {
    switch (this.#method) {
      case "md5":
        return buildAuthentication(AUTHENTICATION.md5, this.#salt);
      case "password":
        return buildAuthentication(AUTHENTICATION.cleartext);
      case "scram-sha-256":
        return buildAuthentication(AUTHENTICATION.sasl, Buffer.from(`${SCRAM}\0\0`));
    }
  }

  /** @param frame a whole message of type `p`. */
  answered(frame: Buffer): LoginStep {
    if (this.#method === "scram-sha-256") return this.#scramAnswered(frame);
    const text = readString(frame, HEADER_BYTES, frame.length);
    if (text === null || text === "") return this.#refused("empty password");
    const secret = this.#secret;
    if (this.#method === "md5") {
      const proven = verifyMd5({ secret, user: this.#user, salt: this.#salt, response: text });
      return proven ? accepted(null) : this.#refused("password does not match");
    }
    const password = new Secret(text);
    if (this.#isRelayed || verifyCleartext({ secret, user: this.#user, password })) {
      return accepted({ kind: "text", secret: password });
    }
    return this.#refused("password does not match");
  }

  #scramAnswered(frame: Buffer): LoginStep {
    const scram = this.#scram as ScramServer;
    if (!this.#isFirst) {
      const last = scram.final(frame.subarray(HEADER_BYTES));
      if (!last.ok) return this.#scramRefused(last.error);
      const bytes = buildAuthentication(AUTHENTICATION.saslFinal, last.value.serverFinal);
      const { clientKey } = last.value;
      return { kind: "accepted", bytes, shown: withClientKey(this.#secret, clientKey) };
    }
    this.#isFirst = false;
    const mechanism = readString(frame, HEADER_BYTES, frame.length);
    const start = HEADER_BYTES + (mechanism?.length ?? 0) + 1;
    if (mechanism === null || frame.length < start + 4)
      return this.#scramRefused("message-malformed");
    if (mechanism !== SCRAM) {
      const message = "client selected an invalid SASL authentication mechanism";
      return { kind: "refused", failure: failure("protocol-violation", { message }) };
    }
    const first = scram.first(frame.subarray(start + 4));
    if (!first.ok) return this.#scramRefused(first.error);
    return { kind: "send", bytes: buildAuthentication(AUTHENTICATION.saslContinue, first.value) };
  }

  #scramRefused(reason: ScramReason): LoginStep {
    return this.#refused(
      reason === "password-mismatch" ? "password does not match" : SCRAM_REASONS[reason],
    );
  }

  /** The client learns no more than PostgreSQL would tell; the log gets the detail. */
  #refused(detail: string): LoginStep {
    const why =
      this.#secret === null && !this.#isRelayed
        ? `pool_passwd file does not contain an entry for "${this.#user}"`
        : detail;
    const message = `password authentication failed for user "${this.#user}"`;
    return {
      kind: "refused",
      failure: failure("password-failed", { message, detail: why }),
    };
  }
}

function accepted(shown: PoolSecret | null): LoginStep {
  return { kind: "accepted", bytes: null, shown };
}

/** A password as text opens every backend without it. */
function withClientKey(secret: PoolSecret | null, clientKey: Buffer): PoolSecret | null {
  if (secret?.kind !== "scram") return null;
  return { ...secret, clientKey: new Secret(clientKey.toString("base64")) };
}

function scramSecret(secret: PoolSecret | null): ScramServerSecret | null {
  if (secret?.kind === "text") return { kind: "text", password: secret.secret };
  if (secret?.kind === "scram") return { kind: "scram-verifier", verifier: secret.secret };
  return null;
}
