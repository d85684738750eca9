/** Internet addresses as bytes: 4 for IPv4, 16 for IPv6. */
import type { Network } from "./types.ts";

/** @returns null when the text is no address. An IPv6 zone (`%eth0`) is dropped. */
export function parseAddress(text: string): Uint8Array | null {
  if (text.length > 64) return null;
  const zone = text.indexOf("%");
  const plain = zone > 0 && text.includes(":") ? text.slice(0, zone) : text;
  return plain.includes(":") ? parseIpv6(plain) : parseIpv4(plain);
}

/** `::ffff:1.2.3.4` is how a socket for both families shows an IPv4 client. */
export function withoutIpv4Mapping(address: Uint8Array): Uint8Array {
  const isMapped =
    address.length === 16 &&
    address.subarray(0, 10).every((byte) => byte === 0) &&
    address[10] === 0xff &&
    address[11] === 0xff;
  return isMapped ? address.subarray(12) : address;
}

export function maskOfBits(bits: number, lengthBytes: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, index) => {
    const ones = Math.min(8, Math.max(0, bits - index * 8));
    return (0xff << (8 - ones)) & 0xff;
  });
}

/** `10.0.0.0/8`, or an address alone for that host. Null when it is neither. */
export function parseNetwork(text: string): Network | null {
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === null) return null;
  const bitsMax = address.length * 8;
  const bitsText = slash < 0 ? String(bitsMax) : text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(bitsText) || Number(bitsText) > bitsMax) return null;
  return maskedNetwork(address, maskOfBits(Number(bitsText), address.length));
}

export function maskedNetwork(address: Uint8Array, mask: Uint8Array): Network {
  return { address: address.map((byte, index) => byte & (mask[index] ?? 0)), mask };
}

export function isInNetwork(address: Uint8Array, network: Network): boolean {
  if (address.length !== network.address.length) return false;
  return address.every((byte, i) => (byte & (network.mask[i] ?? 0)) === network.address[i]);
}

function parseIpv4(text: string): Uint8Array | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  if (!parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)) return null;
  return Uint8Array.from(parts, Number);
}

function parseIpv6(text: string): Uint8Array | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0] ?? "");
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? "") : [];
  if (head === null || tail === null) return null;
  const missing = 16 - head.length - tail.length;
  // "::" stands for at least one group; without it all eight must be written.
  if (halves.length === 2 ? missing < 2 : missing !== 0) return null;
  return Uint8Array.from([...head, ...Array.from({ length: missing }, () => 0), ...tail]);
}

function parseGroups(text: string): number[] | null {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    if (index === groups.length - 1 && group.includes(".")) {
      const ipv4 = parseIpv4(group);
      if (ipv4 === null) return null;
      bytes.push(...ipv4);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return null;
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    }
  }
  return bytes;
}
