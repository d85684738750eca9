/**
 * SCRAM-SHA-256 keys: from a password, from a stored verifier, and what a verifier looks like.
 *
 *     SaltedPassword -- "Client Key" --> ClientKey --H--> StoredKey     proves the client
 *                    -- "Server Key" --> ServerKey                      proves the server
 *
 * Source: RFC 5802 section 3, RFC 7677; PostgreSQL's `SCRAM-SHA-256$...` text.
 */
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from "node:crypto";
import { assert, Secret } from "../base/index.ts";
import { saslPrep } from "./saslprep.ts";
import type { ScramReason } from "./types.ts";

/** As PostgreSQL's default. */
export const SCRAM_ITERATIONS = 4096;
/** More would let the other side keep a processor busy for seconds. */
export const SCRAM_ITERATIONS_MAX = 1_000_000;
/** About 10 ms. What takes longer is hashed elsewhere, while others are served. */
export const SCRAM_ITERATIONS_AT_ONCE_MAX = 16_384;
export const SCRAM_MESSAGE_BYTES_MAX = 1024;
/** 120 bits, as in the example of RFC 7677; PostgreSQL takes 18 bytes. */
export const SCRAM_NONCE_BYTES_MIN = 15;
const SALT_BYTES_MAX = 256;
const KEY_BYTES = 32;

export const SCRAM_REASONS: Readonly<Record<ScramReason, string>> = {
  "out-of-order": "a SCRAM message came out of order",
  "message-too-long": `a SCRAM message is longer than ${SCRAM_MESSAGE_BYTES_MAX} bytes`,
  "message-malformed": "a SCRAM message is malformed",
  "channel-binding-unsupported": "channel binding was asked for but is not offered",
  "authorization-identity-unsupported": "an authorization identity is not supported",
  "extension-unsupported": "a mandatory SCRAM extension is not supported",
  "nonce-mismatch": "the SCRAM nonce is not the one agreed on",
  "iterations-out-of-range": `the SCRAM iteration count is not in 1 to ${SCRAM_ITERATIONS_MAX}`,
  "secret-malformed": "the stored SCRAM secret cannot be read",
  "verifier-differs":
    "the server has another SCRAM secret of this user than the one that is stored here",
  "password-mismatch": "password does not match",
  "server-signature-mismatch": "the server could not prove that it knows the password",
  "server-refused": "the server refused the SCRAM proof",
};

export interface ScramKeys {
  readonly clientKey: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** What a server needs; the client's key cannot be had from it. */
export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/**
 * 16 bytes: a user's salt, the same as long as `seed` is. Users with a text secret and users that
 * do not exist both get theirs from here, so a salt that stays tells nothing.
 *
 * @param seed at least 16 random bytes, drawn once and the same in all workers of a node.
 */
export function scramSaltFor(seed: Uint8Array, user: string): Buffer {
  assert(seed.length >= 16, "a seed for salts needs 16 bytes");
  return createHmac("sha256", seed).update(`salt ${user}`).digest().subarray(0, 16);
}

/** The text PostgreSQL would store in pg_authid for this password. */
export function scramVerifier(password: Secret, saltBytes: Uint8Array, iterations: number): Secret {
  const { storedKey, serverKey } = scramKeys(password, saltBytes, iterations);
  const salt = Buffer.from(saltBytes).toString("base64");
  const keys = `${storedKey.toString("base64")}:${serverKey.toString("base64")}`;
  return new Secret(`SCRAM-SHA-256$${iterations}:${salt}$${keys}`);
}

/** Null when the text is no verifier that can be used. */
export function parseVerifier(text: Secret): ScramVerifier | null {
  const match = /^SCRAM-SHA-256\$(\d{1,7}):([^$:]{1,512})\$([^$:]{44}):([^$:]{44})$/.exec(
    text.reveal(),
  );
  const iterations = Number(match?.[1] ?? 0);
  const [salt, storedKey, serverKey] = (match ?? []).slice(2).map(decodeBase64);
  if (!salt || !storedKey || !serverKey || !mayIterate(iterations)) return null;
  if (salt.length > SALT_BYTES_MAX) return null;
  if (storedKey.length !== KEY_BYTES || serverKey.length !== KEY_BYTES) return null;
  return { iterations, salt, storedKey, serverKey };
}

export function passwordMatchesVerifier(password: Secret, text: Secret): boolean {
  const verifier = parseVerifier(text);
  if (verifier === null) return false;
  const own = scramKeys(password, verifier.salt, verifier.iterations);
  return timingSafeEqual(own.serverKey, verifier.serverKey);
}

/** About 1 ms for each 4000 iterations, in one go: bound `iterations` first. */
export function scramKeys(password: Secret, salt: Uint8Array, iterations: number): ScramKeys {
  assert(mayIterate(iterations), `${iterations} SCRAM iterations`);
  return keysOf(pbkdf2Sync(scramHashInput(password), salt, iterations, KEY_BYTES, "sha256"));
}

/** The password as PBKDF2 with SHA-256 gets it; 32 bytes come out. */
export function scramHashInput(password: Secret): Buffer {
  return Buffer.from(saslPrep(password.reveal()), "utf8");
}

function keysOf(salted: Buffer): ScramKeys {
  const clientKey = hmac(salted, "Client Key");
  return { clientKey, storedKey: sha256(clientKey), serverKey: hmac(salted, "Server Key") };
}

interface RememberedKeys {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly keys: ScramKeys;
}

/** Our own salt for clients, and those of some servers. */
const REMEMBERED_MAX = 8;
const remembered = new WeakMap<Secret, RememberedKeys[]>();

/** As `scramKeys`, but worked out once for each salt as long as the password's object lives. */
export function rememberedScramKeys(
  password: Secret,
  salt: Uint8Array,
  iterations: number,
): ScramKeys {
  const known = knownKeys({ password, salt, iterations });
  if (known !== null) return known;
  const keys = scramKeys(password, salt, iterations);
  remember({ password, salt, iterations }, keys);
  return keys;
}

/** What is to be hashed. */
export interface ScramHashing {
  readonly password: Secret;
  readonly salt: Uint8Array;
  readonly iterations: number;
}

/** It has to be hashed yet, and that takes long. */
export function isLongHashing(hashing: ScramHashing): boolean {
  return hashing.iterations > SCRAM_ITERATIONS_AT_ONCE_MAX && knownKeys(hashing) === null;
}

/** Somebody has hashed it. */
export function rememberSalted(hashing: ScramHashing, salted: Buffer): void {
  remember(hashing, keysOf(salted));
}

function knownKeys({ password, salt, iterations }: ScramHashing): ScramKeys | null {
  const known = remembered.get(password) ?? [];
  const hit = known.find((one) => one.iterations === iterations && one.salt.equals(salt));
  return hit?.keys ?? null;
}

function remember({ password, salt, iterations }: ScramHashing, keys: ScramKeys): void {
  const known = remembered.get(password) ?? [];
  const newest = { salt: Buffer.from(salt), iterations, keys };
  remembered.set(password, [newest, ...known.slice(0, REMEMBERED_MAX - 1)]);
}

export function mayIterate(iterations: number): boolean {
  return Number.isSafeInteger(iterations) && iterations >= 1 && iterations <= SCRAM_ITERATIONS_MAX;
}

/** Null for anything but canonical base64; Node's own decoder takes any text. */
export function decodeBase64(text: string): Buffer | null {
  if (text.length === 0 || text.length % 4 !== 0) return null;
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : null;
}

export function hmac(key: Uint8Array, message: string | Uint8Array): Buffer {
  return createHmac("sha256", key).update(message).digest();
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

export function xor(left: Uint8Array, right: Uint8Array): Buffer {
  return Buffer.from(left.map((byte, index) => byte ^ (right[index] ?? 0)));
}
