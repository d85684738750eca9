import assert from "node:assert";

/**
 * The bytes of an address as they stand in a packet: 4 of an IPv4 address, 16 of an IPv6 one.
 *
 * @param text a valid address, as `delegate_ip` was checked to be.
 */
export function addressBytes(text: string): Buffer {
  const bytes = text.includes(":") ? bytesOfIPv6(text) : bytesOfIPv4(text);
  assert(
    bytes.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255),
    text,
  );
  return Buffer.from(bytes);
}

/** The other way round, in the longest form: only for comparison of two. */
export function isSameAddress(bytes: Uint8Array, text: string): boolean {
  return Buffer.compare(bytes, addressBytes(text)) === 0;
}

function bytesOfIPv4(text: string): number[] {
  const bytes = text.split(".").map(Number);
  assert(bytes.length === 4, `"${text}" is no IPv4 address`);
  return bytes;
}

function bytesOfIPv6(text: string): number[] {
  const [head = "", tail] = text.split("::");
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const missing = 16 - front.length - back.length;
  assert(tail === undefined ? missing === 0 : missing >= 0, `"${text}" is no IPv6 address`);
  return [...front, ...Array.from({ length: missing }, () => 0), ...back];
}

/** `fd00:1` or, at the end of an address, `ffff:10.0.0.1`. */
function groups(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return bytesOfIPv4(group);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
}
