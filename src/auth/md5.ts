import type { Secret } from "../base/index.ts";
import type { PoolSecret } from "./types.ts";
/** `md5` + 32 hex digits, as stored. */
export function md5Password(_password: Secret, _user: string): Secret {
  throw new Error("not built");
}
/** What the PasswordMessage carries: `md5` + md5hex(hex part of stored || salt). */
export function md5Response(_stored: Secret, _salt: Uint8Array): string {
  throw new Error("not built");
}
/** False also for a secret kind that cannot answer md5 (aes, scram) and for null. */
export function verifyMd5(_o: {
  readonly secret: PoolSecret | null;
  readonly user: string;
  readonly salt: Uint8Array;
  readonly response: string;
}): boolean {
  throw new Error("not built");
}
export function verifyCleartext(_o: {
  readonly secret: PoolSecret | null;
  readonly user: string;
  readonly password: Secret;
}): boolean {
  throw new Error("not built");
}
