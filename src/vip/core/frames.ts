import { addressBytes } from "./address-bytes.ts";

/**
 * Ethernet frames by which neighbours learn, or are asked, who has the virtual IP.
 * Sources: RFC 826 and 5227 (ARP), RFC 4861 4.3, 4.4 and 7.2.6 (neighbour discovery).
 */

const BROADCAST = Buffer.from("ffffffffffff", "hex");
const ETHER_ARP = 0x0806;
const ETHER_IPV6 = 0x86dd;
const ARP_REQUEST = 1;
const ARP_REPLY = 2;
const ICMPV6 = 58;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const ALL_NODES = "ff02::1";

/** "The virtual IP is at this hardware address now", for all neighbours. */
export function announcements(vip: string, hardware: Uint8Array): readonly Buffer[] {
  if (vip.includes(":")) return [advertisement(vip, hardware)];
  // Some systems take the one form only, some the other.
  return [ARP_REQUEST, ARP_REPLY].map((operation) => {
    return arp({ operation, hardware, sender: addressBytes(vip), target: addressBytes(vip) });
  });
}

/** "Who has the virtual IP?", in a form that names no sender: nobody learns anything from it. */
export function probe(vip: string, hardware: Uint8Array): Buffer {
  if (vip.includes(":")) return solicitation(vip, hardware);
  const nobody = Buffer.alloc(4);
  return arp({ operation: ARP_REQUEST, hardware, sender: nobody, target: addressBytes(vip) });
}

interface Arp {
  readonly operation: number;
  readonly hardware: Uint8Array;
  readonly sender: Buffer;
  readonly target: Buffer;
}

function arp({ operation, hardware, sender, target }: Arp): Buffer {
  const header = Buffer.from("0001080006040000", "hex"); // Ethernet, IPv4, and their lengths.
  header.writeUInt16BE(operation, 6);
  const asked = operation === ARP_REQUEST ? Buffer.alloc(6) : Buffer.from(hardware);
  const body = Buffer.concat([header, hardware, sender, asked, target]);
  return Buffer.concat([ethernet(BROADCAST, hardware, ETHER_ARP), body]);
}

function advertisement(vip: string, hardware: Uint8Array): Buffer {
  const message = Buffer.alloc(32);
  message.writeUInt8(ADVERTISEMENT, 0);
  message.writeUInt8(0x20, 4); // Override what you knew.
  addressBytes(vip).copy(message, 8);
  message.writeUInt8(2, 24); // Option: target link-layer address, of 8 bytes.
  message.writeUInt8(1, 25);
  message.set(hardware, 26);
  return ipv6(hardware, addressBytes(vip), addressBytes(ALL_NODES), message);
}

function solicitation(vip: string, hardware: Uint8Array): Buffer {
  const target = addressBytes(vip);
  const message = Buffer.alloc(24);
  message.writeUInt8(SOLICITATION, 0);
  target.copy(message, 8);
  const group = addressBytes("ff02::1:ff00:0");
  target.copy(group, 13, 13); // Solicited-node multicast: the last 24 bits.
  return ipv6(hardware, Buffer.alloc(16), group, message);
}

function ipv6(hardware: Uint8Array, from: Buffer, to: Buffer, message: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(message.length, 4);
  header.writeUInt8(ICMPV6, 6);
  header.writeUInt8(255, 7);
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(message.length, 0);
  pseudo.writeUInt8(ICMPV6, 7);
  message.writeUInt16BE(checksum(Buffer.concat([from, to, pseudo, message])), 2);
  const multicast = Buffer.concat([Buffer.from("3333", "hex"), to.subarray(12)]);
  return Buffer.concat([ethernet(multicast, hardware, ETHER_IPV6), header, from, to, message]);
}

function ethernet(to: Uint8Array, from: Uint8Array, type: number): Buffer {
  return Buffer.concat([to, from, Buffer.from([type >> 8, type & 255])]);
}

/** Of an even number of bytes. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
