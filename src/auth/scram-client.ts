import type { Result, Secret } from "../base/index.ts";
import type { ScramReason } from "./types.ts";
export interface ScramClient {
  first(): Buffer;
  onServerFirst(serverFirst: Buffer): Result<Buffer, ScramReason>;
  onServerFinal(serverFinal: Buffer): Result<null, ScramReason>;
}
export function startScramClient(_o: {
  readonly user: string;
  readonly password: Secret;
  /** At least 18 random bytes. */
  readonly nonceBytes: Uint8Array;
}): ScramClient {
  throw new Error("not built");
}
