import { describe, expect, it } from "vitest";
import { CaptureStream, hexOfAddress } from "../../cluster/vip/capture-stream.ts";

const VIP = "10.77.0.100";

function fileHeader(magic = 0xa1b23c4d, linkType = 276): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(magic, 0);
  header.writeUInt32LE(linkType, 20);
  return header;
}

interface Frame {
  readonly protocol: number;
  readonly body: Buffer;
  readonly packetType?: number;
}

/** One record: at 5 s and 250 µs, on port 7. */
function record({ protocol, body, packetType = 3 }: Frame): Buffer {
  const head = Buffer.alloc(36);
  head.writeUInt32LE(5, 0);
  head.writeUInt32LE(250_000, 4);
  head.writeUInt32LE(20 + body.length, 8);
  head.writeUInt32LE(20 + body.length, 12);
  head.writeUInt16BE(protocol, 16);
  head.writeUInt32BE(7, 20);
  head.writeUInt8(packetType, 26);
  return Buffer.concat([head, body]);
}

function arpFrom(address: string): Buffer {
  const body = Buffer.alloc(28);
  Buffer.from(hexOfAddress(address), "hex").copy(body, 14);
  return body;
}

function ipv4From(address: string): Buffer {
  const body = Buffer.alloc(20, 0x45);
  Buffer.from(hexOfAddress(address), "hex").copy(body, 12);
  return body;
}

/** ICMPv6 of this type from ::1 about ::2. */
function icmp6(type: number): Buffer {
  const body = Buffer.alloc(64);
  body[6] = 58;
  body[23] = 1;
  body[40] = type;
  body[63] = 2;
  return body;
}

const ARP = 0x0806;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;

describe("the capture", () => {
  it("tells when, on which port and for which address a frame spoke", () => {
    const frames = new CaptureStream().push(
      Buffer.concat([fileHeader(), record({ protocol: ARP, body: arpFrom(VIP) })]),
    );
    expect(frames).toEqual([
      {
        wallMs: 5000.25,
        portIndex: 7,
        isOutgoing: false,
        speaksFor: hexOfAddress(VIP),
        what: "ARP reply",
      },
    ]);
  });

  it("tells frames of a host from frames to it", () => {
    const stream = new CaptureStream();
    stream.push(fileHeader());
    const [frame] = stream.push(record({ protocol: IPV4, body: ipv4From(VIP), packetType: 4 }));
    expect(frame).toMatchObject({ isOutgoing: true, speaksFor: hexOfAddress(VIP) });
  });

  it("reads the source of IPv6, and what a neighbour advertisement is about", () => {
    const stream = new CaptureStream();
    stream.push(fileHeader());
    const of = (type: number) => stream.push(record({ protocol: IPV6, body: icmp6(type) }))[0];
    expect(of(135)?.speaksFor).toBe(`${"0".repeat(31)}1`);
    expect(of(136)?.speaksFor).toBe(`${"0".repeat(31)}2`);
  });

  it("gives the same frames however the bytes are cut", () => {
    const bytes = Buffer.concat([
      fileHeader(),
      record({ protocol: ARP, body: arpFrom(VIP) }),
      record({ protocol: IPV4, body: ipv4From("10.77.0.11") }),
      record({ protocol: ARP, body: arpFrom("10.77.0.12") }),
    ]);
    const whole = new CaptureStream().push(bytes);
    expect(whole).toHaveLength(3);
    for (const size of [1, 7, 24, 65]) {
      const stream = new CaptureStream();
      const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        stream.push(bytes.subarray(index * size, (index + 1) * size)),
      );
      expect(parts.flat()).toEqual(whole);
    }
  });

  it("leaves out what speaks for no address", () => {
    const stream = new CaptureStream();
    stream.push(fileHeader());
    expect(stream.push(record({ protocol: 0x88cc, body: Buffer.alloc(40) }))).toEqual([]);
    expect(stream.push(record({ protocol: ARP, body: Buffer.alloc(4) }))).toEqual([]);
  });

  it("refuses another format rather than misread it", () => {
    expect(() => new CaptureStream().push(fileHeader(0xa1b2c3d4))).toThrow("another format");
    expect(() => new CaptureStream().push(fileHeader(0xa1b23c4d, 1))).toThrow("another format");
    const damaged = Buffer.concat([fileHeader(), Buffer.alloc(16, 0xff)]);
    expect(() => new CaptureStream().push(damaged)).toThrow("damaged");
  });
});
