/** One end of a connection; both null for a Unix socket. */
export interface NamedAddress {
  readonly address: string | null;
  readonly port: number | null;
}

export const NO_NAME: NamedAddress = { address: null, port: null };

type Ask = (fd: number, address: Uint8Array, length: Int32Array) => number;

const AF_INET = 2;
const AF_INET6 = 10;
/** As long as a `sockaddr_un`, though its path is not wanted. */
const ADDRESS_BYTES = 110;

/** What the kernel calls an end of this connection; `NO_NAME` also when it is gone. */
export function readSocketName(ask: Ask, fd: number): NamedAddress {
  const bytes = Buffer.alloc(ADDRESS_BYTES);
  if (ask(fd, bytes, Int32Array.of(ADDRESS_BYTES)) < 0) return NO_NAME;
  const family = bytes.readUInt16LE(0);
  const port = bytes.readUInt16BE(2);
  if (family === AF_INET) return { address: bytes.subarray(4, 8).join("."), port };
  if (family === AF_INET6) return { address: formatIpv6(bytes.subarray(8, 24)), port };
  return NO_NAME;
}

/** As `inet_ntop` writes it: the longest run of zeros is left out, an IPv4 address is shown as one. */
export function formatIpv6(bytes: Buffer): string {
  const words = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i));
  if (words.slice(0, 5).every((word) => word === 0) && words[5] === 0xffff) {
    return `::ffff:${bytes.subarray(12, 16).join(".")}`;
  }
  let longest = { at: -1, length: 1 };
  for (let at = 0; at < 8; at += 1) {
    let length = 0;
    while (at + length < 8 && words[at + length] === 0) length += 1;
    if (length > longest.length) longest = { at, length };
  }
  const text = (part: readonly number[]): string => part.map((word) => word.toString(16)).join(":");
  if (longest.at < 0) return text(words);
  const behind = words.slice(longest.at + longest.length);
  return `${text(words.slice(0, longest.at))}::${text(behind)}`;
}
