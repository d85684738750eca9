import { fail, succeed, type Result } from "../../base/index.ts";
import { readString } from "./read.ts";

/** PostgreSQL's MAX_STARTUP_PACKET_LENGTH. */
export const START_UP_BYTES_MAX = 10_000;

const CANCEL_CODE = (1234 << 16) | 5678;
const SSL_CODE = (1234 << 16) | 5679;
const GSSENC_CODE = (1234 << 16) | 5680;
const CANCEL_KEY_BYTES_MAX = 256;

/** The first thing that a client says; it has no type byte. */
export type StartUp =
  | { readonly kind: "ssl-request" }
  | { readonly kind: "gssenc-request" }
  | { readonly kind: "cancel"; readonly processId: number; readonly key: Buffer }
  | { readonly kind: "start-up"; readonly packet: StartUpPacket };

export interface StartUpPacket {
  readonly major: number;
  readonly minor: number;
  /** In the client's order, without the `_pq_.` options. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Names of the protocol options asked for, `_pq_.` included. */
  readonly protocolOptions: readonly string[];
}

export interface StartUpError {
  readonly code: "not-the-protocol" | "too-long" | "unsupported-protocol" | "malformed";
  readonly message: string;
}

/**
 * Reads the packet at the front of `bytes`.
 *
 * @returns `null` as value while the packet is incomplete; at most START_UP_BYTES_MAX bytes are ever
 *   waited for, because a longer claim is refused from its first four bytes.
 */
export function decodeStartUp(
  bytes: Buffer,
): Result<{ readonly startUp: StartUp; readonly usedBytes: number } | null, StartUpError> {
  if (bytes.length < 4) return succeed(null);
  const lengthBytes = bytes.readUInt32BE(0);
  if (lengthBytes < 8 || lengthBytes > START_UP_BYTES_MAX + 4) {
    // Letters where a length belongs: HTTP, TLS or a stray program, rather than a long packet.
    const isText = bytes.subarray(0, 4).every((byte) => byte >= 0x0a && byte < 0x7f);
    const isTls = bytes[0] === 0x16 && bytes[1] === 0x03;
    return fail({
      code: isText || isTls ? "not-the-protocol" : "too-long",
      message: `invalid length of startup packet: ${lengthBytes} bytes, at most ${START_UP_BYTES_MAX} are accepted`,
    });
  }
  if (bytes.length >= 8) {
    const why = versionError(bytes.readUInt32BE(4));
    if (why !== null) return fail(why);
  }
  if (bytes.length < lengthBytes) return succeed(null);
  const startUp = decodeBody(bytes.subarray(0, lengthBytes));
  if (!startUp.ok) return startUp;
  return succeed({ startUp: startUp.value, usedBytes: lengthBytes });
}

function versionError(code: number): StartUpError | null {
  if (code === CANCEL_CODE || code === SSL_CODE || code === GSSENC_CODE) return null;
  const major = code >>> 16;
  if (major === 3) return null;
  return {
    code: "unsupported-protocol",
    message: `unsupported frontend protocol ${major}.${code & 0xffff}: server supports 3.0 to 3.2`,
  };
}

function decodeBody(packet: Buffer): Result<StartUp, StartUpError> {
  const code = packet.readUInt32BE(4);
  if (code === SSL_CODE) return succeed({ kind: "ssl-request" });
  if (code === GSSENC_CODE) return succeed({ kind: "gssenc-request" });
  if (code === CANCEL_CODE) {
    const key = packet.subarray(12);
    if (key.length < 4 || key.length > CANCEL_KEY_BYTES_MAX) {
      return fail({ code: "malformed", message: "invalid length of cancel request" });
    }
    return succeed({ kind: "cancel", processId: packet.readInt32BE(8), key: Buffer.from(key) });
  }
  const parameters = new Map<string, string>();
  const protocolOptions: string[] = [];
  let offset = 8;
  while (offset < packet.length && packet[offset] !== 0) {
    const name = readString(packet, offset, packet.length);
    const valueStart = name === null ? -1 : packet.indexOf(0, offset) + 1;
    const value = name === null ? null : readString(packet, valueStart, packet.length);
    if (name === null || value === null) return fail(malformed());
    if (name.startsWith("_pq_.")) protocolOptions.push(name);
    else parameters.set(name, value);
    offset = packet.indexOf(0, valueStart) + 1;
  }
  if (offset !== packet.length - 1) return fail(malformed());
  const packetValue = { major: code >>> 16, minor: code & 0xffff, parameters, protocolOptions };
  return succeed({ kind: "start-up", packet: packetValue });
}

function malformed(): StartUpError {
  return {
    code: "malformed",
    message: "invalid startup packet layout: expected terminator as last byte",
  };
}

export function encodeStartUp(parameters: ReadonlyMap<string, string>, protocol: number): Buffer {
  const pieces: Buffer[] = [Buffer.alloc(8)];
  for (const [name, value] of parameters) pieces.push(Buffer.from(`${name}\0${value}\0`));
  pieces.push(Buffer.alloc(1));
  const packet = Buffer.concat(pieces);
  packet.writeUInt32BE(packet.length, 0);
  packet.writeUInt32BE(protocol, 4);
  return packet;
}

/** The key goes as it came from the server: 4 bytes in 3.0, up to 256 in 3.2. */
export function encodeCancelRequest(processId: number, key: Buffer): Buffer {
  const packet = Buffer.alloc(12 + key.length);
  packet.writeUInt32BE(packet.length, 0);
  packet.writeUInt32BE(CANCEL_CODE, 4);
  packet.writeInt32BE(processId, 8);
  key.copy(packet, 12);
  return packet;
}
