import type { Result } from "../base/index.ts";
import type { ScramReason, ScramServerSecret } from "./types.ts";
export interface ScramServer {
  first(clientFirst: Buffer): Result<Buffer, ScramReason>;
  final(
    clientFinal: Buffer,
  ): Result<{ readonly serverFinal: Buffer; readonly clientKey: Buffer }, ScramReason>;
}
export function startScramServer(_o: {
  /** Null: no such user, or none that can do SCRAM; the exchange runs and fails at its end. */
  readonly secret: ScramServerSecret | null;
  /** At least 18 random bytes. */
  readonly nonceBytes: Uint8Array;
  /** `scramSaltFor(seed, user)`; a verifier brings its own. */
  readonly saltBytes: Uint8Array;
  readonly iterations: number;
}): ScramServer {
  throw new Error("not built");
}
