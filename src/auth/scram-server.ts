/**
 * Our side of SCRAM-SHA-256 when a client logs in.
 *
 *     client                                     we
 *       n,,n=user,r=abc             ------->     first()
 *                                   <-------     r=abcXYZ,s=<salt>,i=4096
 *       c=biws,r=abcXYZ,p=<proof>   ------->     final()
 *                                   <-------     v=<server signature>
 *
 * The user name in the message is not looked at: the startup packet named the user already.
 * Messages are handled as latin1 text, which keeps every byte as it came.
 *
 * Source: RFC 5802; PostgreSQL manual, "SCRAM-SHA-256 Authentication".
 */
import { timingSafeEqual } from "node:crypto";
import { assert, fail, Secret, succeed, type Result } from "../base/index.ts";
import {
  decodeBase64,
  hmac,
  mayIterate,
  parseVerifier,
  SCRAM_MESSAGE_BYTES_MAX,
  SCRAM_NONCE_BYTES_MIN,
  rememberedScramKeys,
  sha256,
  xor,
  type ScramVerifier,
} from "./scram-keys.ts";
import type { ScramReason, ScramServerSecret } from "./types.ts";

export interface ScramServer {
  /** @returns the body of AuthenticationSASLContinue. */
  first(clientFirst: Buffer): Result<Buffer, ScramReason>;
  /**
   * @returns the body of AuthenticationSASLFinal, and the client's key, with which one can log in
   * wherever the same verifier is stored. A text secret is hashed at its first use only; from then on
   * it takes as long for an unknown user as for a known one.
   */
  final(
    clientFinal: Buffer,
  ): Result<{ readonly serverFinal: Buffer; readonly clientKey: Buffer }, ScramReason>;
}

export interface ScramServerOptions {
  /** Null: no such user, or none that can do SCRAM; the exchange runs and fails at its end. */
  readonly secret: ScramServerSecret | null;
  /** 18 random bytes; 15 at least. */
  readonly nonceBytes: Uint8Array;
  /** `scramSaltFor(seed, user)`; a verifier brings its own. */
  readonly saltBytes: Uint8Array;
  readonly iterations: number;
}

export function startScramServer(options: ScramServerOptions): ScramServer {
  assert(options.nonceBytes.length >= SCRAM_NONCE_BYTES_MIN, "a SCRAM nonce is too short");
  assert(mayIterate(options.iterations), `${options.iterations} SCRAM iterations`);
  return new Exchange(options);
}

class Exchange implements ScramServer {
  readonly #options: ScramServerOptions;
  /** Null unless the secret is a verifier that can be used. */
  readonly #stored: ScramVerifier | null;
  #phase: "first" | "final" | "over" = "first";
  #gs2Header = "";
  #nonce = "";
  /** client-first-bare and server-first, joined as the proof needs them. */
  #authPrefix = "";

  constructor(options: ScramServerOptions) {
    this.#options = options;
    const { secret } = options;
    this.#stored = secret?.kind === "scram-verifier" ? parseVerifier(secret.verifier) : null;
  }

  first(clientFirst: Buffer): Result<Buffer, ScramReason> {
    if (this.#phase !== "first") return this.#end("out-of-order");
    if (clientFirst.length > SCRAM_MESSAGE_BYTES_MAX) return this.#end("message-too-long");
    const parsed = parseClientFirst(clientFirst.toString("latin1"));
    if (!parsed.ok) return this.#end(parsed.error);
    this.#phase = "final";
    this.#gs2Header = parsed.value.gs2Header;
    this.#nonce = parsed.value.nonce + Buffer.from(this.#options.nonceBytes).toString("base64");
    const salt = Buffer.from(this.#stored?.salt ?? this.#options.saltBytes).toString("base64");
    const iterations = this.#stored?.iterations ?? this.#options.iterations;
    const serverFirst = `r=${this.#nonce},s=${salt},i=${iterations}`;
    this.#authPrefix = `${parsed.value.bare},${serverFirst}`;
    return succeed(Buffer.from(serverFirst, "latin1"));
  }

  final(
    clientFinal: Buffer,
  ): Result<{ readonly serverFinal: Buffer; readonly clientKey: Buffer }, ScramReason> {
    if (this.#phase !== "final") return this.#end("out-of-order");
    this.#phase = "over";
    if (clientFinal.length > SCRAM_MESSAGE_BYTES_MAX) return fail("message-too-long");
    const match =
      /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]*)*),p=([^,]+)$/s.exec(
        clientFinal.toString("latin1"),
      );
    const [, withoutProof = "", binding = "", nonce = "", proofText = ""] = match ?? [];
    const proof = decodeBase64(proofText);
    if (match === null || proof?.length !== 32) return fail("message-malformed");
    // A client that says "y" and then binds nothing has been lied to about what we offer.
    if (binding !== Buffer.from(this.#gs2Header, "latin1").toString("base64")) {
      return fail("channel-binding-unsupported");
    }
    if (nonce !== this.#nonce) return fail("nonce-mismatch");

    const { keys, failure } = this.#keys();
    const authMessage = Buffer.from(`${this.#authPrefix},${withoutProof}`, "latin1");
    const clientKey = xor(proof, hmac(keys.storedKey, authMessage));
    const isProven = timingSafeEqual(sha256(clientKey), keys.storedKey);
    if (failure !== null) return fail(failure);
    if (!isProven) return fail("password-mismatch");
    const signature = hmac(keys.serverKey, authMessage).toString("base64");
    return succeed({ serverFinal: Buffer.from(`v=${signature}`, "latin1"), clientKey });
  }

  #keys(): {
    keys: { readonly storedKey: Buffer; readonly serverKey: Buffer };
    failure: ScramReason | null;
  } {
    if (this.#stored !== null) return { keys: this.#stored, failure: null };
    const { secret, saltBytes, iterations } = this.#options;
    if (secret?.kind === "text") {
      return { keys: rememberedScramKeys(secret.password, saltBytes, iterations), failure: null };
    }
    // Always the same salt, or an unknown user would take longer than one that came before.
    const keys = rememberedScramKeys(NOBODYS_PASSWORD, NOBODYS_SALT, iterations);
    return { keys, failure: secret === null ? "password-mismatch" : "secret-malformed" };
  }

  #end(reason: ScramReason): Result<never, ScramReason> {
    this.#phase = "over";
    return fail(reason);
  }
}

/** Hashed for the sake of the time it takes; what comes out is never accepted. */
const NOBODYS_PASSWORD = new Secret("nobody");
const NOBODYS_SALT = Buffer.alloc(16);

interface ClientFirst {
  /** `n,,` or `y,,`. */
  readonly gs2Header: string;
  readonly bare: string;
  readonly nonce: string;
}

function parseClientFirst(text: string): Result<ClientFirst, ScramReason> {
  if (text.startsWith("p=")) return fail("channel-binding-unsupported");
  if (!/^[ny],/.test(text)) return fail("message-malformed");
  if (text.startsWith("a=", 2)) return fail("authorization-identity-unsupported");
  const gs2Header = text.slice(0, 3);
  if (!gs2Header.endsWith(",,")) return fail("message-malformed");
  const bare = text.slice(3);
  if (bare.startsWith("m=")) return fail("extension-unsupported");
  const match = /^n=[^,\0]*,r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,\0]*)*$/s.exec(bare);
  const nonce = match?.[1];
  return nonce === undefined ? fail("message-malformed") : succeed({ gs2Header, bare, nonce });
}
