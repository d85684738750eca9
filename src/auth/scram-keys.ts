import type { Secret } from "../base/index.ts";
import type { ScramReason } from "./types.ts";
export const SCRAM_ITERATIONS = 4096;
export const SCRAM_MESSAGE_BYTES_MAX = 1024;
export const SCRAM_REASONS = {} as Readonly<Record<ScramReason, string>>;
/** 16 bytes, the same for a user as long as `seed` is the same; for text secrets and unknown users alike. */
export function scramSaltFor(_seed: Uint8Array, _user: string): Buffer {
  throw new Error("not built");
}
/** The secret as PostgreSQL stores it, made from a password. */
export function scramVerifier(
  _password: Secret,
  _saltBytes: Uint8Array,
  _iterations: number,
): Secret {
  throw new Error("not built");
}
