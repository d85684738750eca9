/**
 * Our side of SCRAM-SHA-256 when we log in to a backend. The backend's messages are not trusted:
 * lengths and the iteration count are bounded, and its signature must prove that it knows the
 * password too.
 *
 * Source: RFC 5802; PostgreSQL manual, "SCRAM-SHA-256 Authentication".
 */
import { timingSafeEqual } from "node:crypto";
import { assert, fail, Secret, succeed, type Result } from "../base/index.ts";
import {
  decodeBase64,
  hmac,
  isLongHashing,
  mayIterate,
  parseVerifier,
  SCRAM_MESSAGE_BYTES_MAX,
  SCRAM_NONCE_BYTES_MIN,
  rememberedScramKeys,
  xor,
  type ScramHashing,
  type ScramKeys,
} from "./scram-keys.ts";
import type { ScramReason, ScramSecret } from "./types.ts";

export interface ScramClient {
  /** The data of SASLInitialResponse. */
  first(): Buffer;
  /** @returns the body of SASLResponse. */
  onServerFirst(serverFirst: Buffer): Result<Buffer, ScramReason>;
  /** Success means: the server has proven itself. AuthenticationOk without it is not enough. */
  onServerFinal(serverFinal: Buffer): Result<null, ScramReason>;
}

export interface ScramClientOptions {
  readonly user: string;
  /** Or a verifier with the key that a client has shown; without the key it opens nothing. */
  readonly password: Secret | ScramSecret;
  /** 18 random bytes; 15 at least. */
  readonly nonceBytes: Uint8Array;
}

export function startScramClient(options: ScramClientOptions): ScramClient {
  assert(options.nonceBytes.length >= SCRAM_NONCE_BYTES_MIN, "a SCRAM nonce is too short");
  return new Exchange(options);
}

/**
 * What must be hashed for the answer to this message, when it takes so long that it should be done
 * elsewhere, and remembered, before `onServerFirst`; else null, also of a malformed message.
 */
export function longHashing(password: Secret, serverFirst: Buffer): ScramHashing | null {
  const parsed = parseServerFirst(serverFirst);
  if (!parsed.ok) return null;
  const { salt, iterations } = parsed.value;
  const hashing = { password, salt, iterations };
  return isLongHashing(hashing) ? hashing : null;
}

const GS2_HEADER = "n,,";
const CHANNEL_BINDING = `c=${Buffer.from(GS2_HEADER).toString("base64")}`;

class Exchange implements ScramClient {
  readonly #password: Secret | ScramSecret;
  readonly #nonce: string;
  readonly #bare: string;
  #phase: "server-first" | "server-final" | "over" = "server-first";
  #serverSignature: Buffer = Buffer.alloc(0);

  constructor(options: ScramClientOptions) {
    this.#password = options.password;
    this.#nonce = Buffer.from(options.nonceBytes).toString("base64");
    const user = options.user.replaceAll("=", "=3D").replaceAll(",", "=2C");
    // As latin1, like all messages of an exchange, so that each char is one byte of the wire.
    this.#bare = Buffer.from(`n=${user},r=${this.#nonce}`, "utf8").toString("latin1");
  }

  first(): Buffer {
    return Buffer.from(GS2_HEADER + this.#bare, "latin1");
  }

  onServerFirst(serverFirst: Buffer): Result<Buffer, ScramReason> {
    if (this.#phase !== "server-first") return this.#end("out-of-order");
    this.#phase = "over";
    const parsed = parseServerFirst(serverFirst);
    if (!parsed.ok) return parsed;
    const { text, nonce, salt, iterations } = parsed.value;
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      return fail("nonce-mismatch");
    }
    const known = this.#keys(salt, iterations);
    if (!known.ok) return known;
    const keys = known.value;
    const withoutProof = `${CHANNEL_BINDING},r=${nonce}`;
    const authMessage = Buffer.from(`${this.#bare},${text},${withoutProof}`, "latin1");
    const proof = xor(keys.clientKey, hmac(keys.storedKey, authMessage)).toString("base64");
    this.#serverSignature = hmac(keys.serverKey, authMessage);
    this.#phase = "server-final";
    return succeed(Buffer.from(`${withoutProof},p=${proof}`, "latin1"));
  }

  onServerFinal(serverFinal: Buffer): Result<null, ScramReason> {
    if (this.#phase !== "server-final") return this.#end("out-of-order");
    this.#phase = "over";
    if (serverFinal.length > SCRAM_MESSAGE_BYTES_MAX) return fail("message-too-long");
    const text = serverFinal.toString("latin1");
    if (text.startsWith("e=")) return fail("server-refused");
    const signature = decodeBase64(/^v=([^,]+)(?:,[A-Za-z]=[^,]*)*$/s.exec(text)?.[1] ?? "");
    if (signature?.length !== 32) return fail("message-malformed");
    const isProven = timingSafeEqual(signature, this.#serverSignature);
    return isProven ? succeed(null) : fail("server-signature-mismatch");
  }

  #keys(salt: Buffer, iterations: number): Result<ScramKeys, ScramReason> {
    const password = this.#password;
    if (password instanceof Secret) {
      return succeed(rememberedScramKeys(password, salt, iterations));
    }
    const verifier = parseVerifier(password.secret);
    const clientKey = decodeBase64(password.clientKey?.reveal() ?? "");
    if (verifier === null || clientKey === null) return fail("secret-malformed");
    const isSame = verifier.iterations === iterations && verifier.salt.equals(salt);
    return isSame ? succeed({ ...verifier, clientKey }) : fail("verifier-differs");
  }

  #end(reason: ScramReason): Result<never, ScramReason> {
    this.#phase = "over";
    return fail(reason);
  }
}

interface ServerFirst {
  readonly text: string;
  readonly nonce: string;
  readonly salt: Buffer;
  readonly iterations: number;
}

function parseServerFirst(serverFirst: Buffer): Result<ServerFirst, ScramReason> {
  if (serverFirst.length > SCRAM_MESSAGE_BYTES_MAX) return fail("message-too-long");
  const text = serverFirst.toString("latin1");
  if (text.startsWith("m=")) return fail("extension-unsupported");
  const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([^,]+),i=([1-9]\d{0,9})(?:,[A-Za-z]=[^,]*)*$/s.exec(
    text,
  );
  const [, nonce = "", saltText = "", iterationsText = ""] = match ?? [];
  const salt = decodeBase64(saltText);
  if (match === null || salt === null) return fail("message-malformed");
  const iterations = Number(iterationsText);
  if (!mayIterate(iterations)) return fail("iterations-out-of-range");
  return succeed({ text, nonce, salt, iterations });
}
