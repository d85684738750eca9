/**
 * Bytes of a capture -> frames that speak for an address. The capture is tcpdump's, of all ports of
 * the switch at once, so that one kernel queue and one clock put the frames of all hosts in order.
 * Source: pcap-savefile(5), LINKTYPE_LINUX_SLL2.
 *
 *     pcap header (24) · [record header (16) · SLL2 (20) · ARP | IPv4 | IPv6 …]*
 */
export interface CapturedFrame {
  /** Wall clock of the kernel, milliseconds since 1970, with their fraction. */
  readonly wallMs: number;
  readonly portIndex: number;
  /** False for a frame that the host on the port sent, true for one that the switch sends to it. */
  readonly isOutgoing: boolean;
  /** The address that the frame speaks for, in hexadecimal digits. */
  readonly speaksFor: string;
  /** What it is, for people: "ARP request", "ICMP", "TCP to 10.77.0.200". */
  readonly what: string;
}

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const SLL2_BYTES = 20;
const NANOSECONDS_MAGIC = 0xa1b23c4d;
const LINUX_SLL2 = 276;
const RECORD_BYTES_MAX = 262_144;
const OUTGOING = 4;

export class CaptureStream {
  #rest: Buffer = Buffer.alloc(0);
  #hasHeader = false;

  /** Frames that speak for no address are left out. Throws when the bytes are no such capture. */
  push(chunk: Buffer): CapturedFrame[] {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (!this.#hasHeader && bytes.length >= FILE_HEADER_BYTES) {
      checkHeader(bytes);
      this.#hasHeader = true;
      bytes = bytes.subarray(FILE_HEADER_BYTES);
    }
    const frames: CapturedFrame[] = [];
    while (this.#hasHeader && bytes.length >= RECORD_HEADER_BYTES) {
      const lengthBytes = bytes.readUInt32LE(8);
      if (lengthBytes > RECORD_BYTES_MAX) throw new Error("the capture is damaged");
      const end = RECORD_HEADER_BYTES + lengthBytes;
      if (bytes.length < end) break;
      const wallMs = bytes.readUInt32LE(0) * 1000 + bytes.readUInt32LE(4) / 1e6;
      const frame = readFrame(wallMs, bytes.subarray(RECORD_HEADER_BYTES, end));
      if (frame !== null) frames.push(frame);
      bytes = bytes.subarray(end);
    }
    this.#rest = Buffer.from(bytes);
    return frames;
  }
}

function checkHeader(bytes: Buffer): void {
  if (bytes.readUInt32LE(0) !== NANOSECONDS_MAGIC || bytes.readUInt32LE(20) !== LINUX_SLL2) {
    throw new Error("tcpdump writes another format than nanoseconds with LINUX_SLL2");
  }
}

function readFrame(wallMs: number, bytes: Buffer): CapturedFrame | null {
  if (bytes.length < SLL2_BYTES) return null;
  const [protocol, body] = [bytes.readUInt16BE(0), bytes.subarray(SLL2_BYTES)];
  const speaksFor = addressOf(protocol, body);
  if (speaksFor === null) return null;
  const isOutgoing = bytes.readUInt8(10) === OUTGOING;
  return {
    wallMs,
    portIndex: bytes.readUInt32BE(4),
    isOutgoing,
    speaksFor,
    what: kindOf(protocol, body),
  };
}

/** ARP: the sender's address. IP: the source; of a neighbour advertisement, what it is about. */
function addressOf(protocol: number, body: Buffer): string | null {
  if (protocol === 0x0806) return hexOf(body, 14, 4);
  if (protocol === 0x0800) return hexOf(body, 12, 4);
  if (protocol !== 0x86dd) return null;
  const isAdvertisement = body.length > 40 && body[6] === 58 && body[40] === 136;
  return isAdvertisement ? hexOf(body, 48, 16) : hexOf(body, 8, 16);
}

function kindOf(protocol: number, body: Buffer): string {
  if (protocol === 0x0806) return body[7] === 1 ? "ARP request" : "ARP reply";
  if (protocol !== 0x0800) return "IPv6";
  const names: Readonly<Record<number, string>> = { 1: "ICMP", 6: "TCP", 17: "UDP" };
  const number = body[9] ?? 0;
  return `${names[number] ?? `IP ${number}`} to ${body.subarray(16, 20).join(".")}`;
}

function hexOf(bytes: Buffer, from: number, count: number): string | null {
  return bytes.length < from + count ? null : bytes.toString("hex", from, from + count);
}

/** An IPv4 address as its bytes in hexadecimal digits. */
export function hexOfAddress(address: string): string {
  return Buffer.from(address.split(".").map(Number)).toString("hex");
}
