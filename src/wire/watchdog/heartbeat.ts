import { createHmac, timingSafeEqual } from "node:crypto";
import { fail, succeed, type Result } from "../../base/index.ts";

/**
 * The datagram that says "I live": magic, node id, boot id, counter, and a keyed hash over them.
 *
 *     0      4        6          22         30             62
 *     | PGQ1 | nodeId | bootId   | counter  | HMAC-SHA-256 |
 *
 * The boot id and the counter make a recorded datagram worthless once a newer one was seen.
 */
export interface Heartbeat {
  readonly nodeId: number;
  /** 32 hex digits. */
  readonly bootId: string;
  readonly counter: number;
}

const MAGIC = "PGQ1";
const BODY_BYTES = 30;
export const HEARTBEAT_BYTES = BODY_BYTES + 32;

export function encodeHeartbeat(heartbeat: Heartbeat, key: Buffer): Buffer {
  const bytes = Buffer.alloc(HEARTBEAT_BYTES);
  bytes.write(MAGIC, 0, "latin1");
  bytes.writeUInt16BE(heartbeat.nodeId, 4);
  bytes.write(heartbeat.bootId, 6, "hex");
  bytes.writeBigUInt64BE(BigInt(heartbeat.counter), 22);
  createHmac("sha256", key).update(bytes.subarray(0, BODY_BYTES)).digest().copy(bytes, BODY_BYTES);
  return bytes;
}

/** Errors: a wrong length or magic, a keyed hash that does not fit, a counter out of range. */
export function decodeHeartbeat(bytes: Buffer, key: Buffer): Result<Heartbeat, string> {
  if (bytes.length !== HEARTBEAT_BYTES || bytes.toString("latin1", 0, 4) !== MAGIC) {
    return fail("not a heartbeat");
  }
  const expected = createHmac("sha256", key).update(bytes.subarray(0, BODY_BYTES)).digest();
  if (!timingSafeEqual(expected, bytes.subarray(BODY_BYTES))) {
    return fail("its keyed hash does not fit wd_authkey");
  }
  const counter = bytes.readBigUInt64BE(22);
  if (counter > BigInt(Number.MAX_SAFE_INTEGER)) return fail("counter out of range");
  return succeed({
    nodeId: bytes.readUInt16BE(4),
    bootId: bytes.toString("hex", 6, 22),
    counter: Number(counter),
  });
}

const RELEASE_PATTERN = /^PGQUORUM-RELEASED ([0-9a-f]{64})\n?$/;

/** The guardian's datagram: text, because a shell script sends it. Its secret is its own proof. */
export function decodeReleaseDatagram(bytes: Buffer): string | null {
  if (bytes.length > 128) return null;
  return RELEASE_PATTERN.exec(bytes.toString("latin1"))?.[1] ?? null;
}

export function encodeReleaseDatagram(secret: string): Buffer {
  return Buffer.from(`PGQUORUM-RELEASED ${secret}\n`, "latin1");
}
