/**
 * PostgreSQL's md5 proof, for clients that come and backends that we go to. Weak by today's
 * measure: whoever has the stored form can log in with it. Offered because existing files use it.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { Secret } from "../base/index.ts";
import { passwordMatchesVerifier } from "./scram-keys.ts";
import type { PoolSecret } from "./types.ts";

/** `md5` and 32 hex digits, as PostgreSQL and pool_passwd store it. */
export function md5Password(password: Secret, user: string): Secret {
  return new Secret(`md5${md5Hex(password.reveal(), user)}`);
}

/**
 * What the PasswordMessage carries.
 *
 * @param stored as `md5Password` makes it.
 * @param salt the 4 bytes of AuthenticationMD5Password.
 */
export function md5Response(stored: Secret, salt: Uint8Array): string {
  return `md5${md5Hex(stored.reveal().slice(3), salt)}`;
}

/** False also when the secret's kind cannot prove md5 (aes, scram) or there is none. */
export function verifyMd5(o: {
  readonly secret: PoolSecret | null;
  readonly user: string;
  readonly salt: Uint8Array;
  readonly response: string;
}): boolean {
  const stored = md5StoredForm(o.secret, o.user);
  // The same work for an unknown user, so that the time does not tell who exists.
  const expected = md5Response(stored ?? new Secret(`md5${"0".repeat(32)}`), o.salt);
  return equalInConstantTime(expected, o.response) && stored !== null;
}

/** Compares a password sent in the clear with what is known of the user; aes cannot be compared. */
export function verifyCleartext(o: {
  readonly secret: PoolSecret | null;
  readonly user: string;
  readonly password: Secret;
}): boolean {
  switch (o.secret?.kind) {
    case "text":
      return equalInConstantTime(o.secret.secret.reveal(), o.password.reveal());
    case "md5": {
      const own = md5Password(o.password, o.user).reveal();
      return equalInConstantTime(o.secret.secret.reveal(), own);
    }
    case "scram":
      return passwordMatchesVerifier(o.password, o.secret.secret);
    case "aes":
    case undefined:
      return false;
  }
}

/** Lower case hex of md5 over the parts in turn. */
export function md5Hex(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("md5");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

/** Neither the place of the first difference nor the length shows in the time. */
export function equalInConstantTime(left: string, right: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(left), digest(right));
}

function md5StoredForm(secret: PoolSecret | null, user: string): Secret | null {
  switch (secret?.kind) {
    case "md5":
      return secret.secret;
    case "text":
      return md5Password(secret.secret, user);
    case "aes":
    case "scram":
    case undefined:
      return null;
  }
}
