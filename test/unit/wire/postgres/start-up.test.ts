import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeStartUp,
  encodeCancelRequest,
  encodeStartUp,
  PROTOCOL_3_0,
  START_UP_BYTES_MAX,
} from "../../../../src/wire/postgres/index.ts";

const word = fc.string({ minLength: 1, maxLength: 20 }).filter((text) => !text.includes("\0"));

describe("a start-up packet", () => {
  test("is read as it was written", () => {
    fc.assert(
      fc.property(fc.dictionary(word, word, { maxKeys: 8 }), (dictionary) => {
        const given = new Map(Object.entries(dictionary).filter(([k]) => !k.startsWith("_pq_.")));
        const packet = encodeStartUp(given, PROTOCOL_3_0);
        const read = decodeStartUp(packet);
        expect(read).toMatchObject({
          ok: true,
          value: { usedBytes: packet.length, startUp: { kind: "start-up" } },
        });
        const startUp = read.ok && read.value?.startUp.kind === "start-up" && read.value.startUp;
        expect(startUp && startUp.packet.parameters).toEqual(given);
      }),
    );
  });

  test("that is incomplete is waited for, byte by byte", () => {
    const packet = encodeStartUp(new Map([["user", "alice"]]), PROTOCOL_3_0);
    for (let length = 0; length < packet.length; length += 1) {
      expect(decodeStartUp(packet.subarray(0, length))).toEqual({ ok: true, value: null });
    }
  });

  test("keeps the options of the protocol apart from the parameters", () => {
    const packet = encodeStartUp(
      new Map([
        ["_pq_.x", "1"],
        ["user", "alice"],
      ]),
      PROTOCOL_3_0 + 2,
    );
    expect(decodeStartUp(packet)).toMatchObject({
      value: { startUp: { packet: { minor: 2, protocolOptions: ["_pq_.x"] } } },
    });
  });

  const four = (...bytes: number[]): Buffer => Buffer.from(bytes);
  test.each([
    ["2 GB", four(0x7f, 0xff, 0xff, 0xff), "too-long"],
    ["one byte more than is allowed", lengthWord(START_UP_BYTES_MAX + 5), "too-long"],
    ["less than its own header", lengthWord(7), "too-long"],
    ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\n"), "not-the-protocol"],
    ["a TLS greeting", four(0x16, 0x03, 0x01, 0x02), "not-the-protocol"],
    ["protocol 2.0", Buffer.concat([lengthWord(20), four(0, 2, 0, 0)]), "unsupported-protocol"],
  ])("that claims %s is refused from its first bytes", (_, bytes, code) => {
    expect(decodeStartUp(bytes)).toMatchObject({ ok: false, error: { code } });
  });

  test("without its last zero, or with a name without a value, is malformed", () => {
    const packet = encodeStartUp(new Map([["user", "alice"]]), PROTOCOL_3_0);
    packet[packet.length - 1] = 0x41;
    expect(decodeStartUp(packet)).toMatchObject({ error: { code: "malformed" } });
    const odd = Buffer.concat([lengthWord(14), four(0, 3, 0, 0), Buffer.from("user\0\0")]);
    expect(decodeStartUp(odd)).toMatchObject({ error: { code: "malformed" } });
  });

  test("never makes the decoder throw, whatever it is", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        decodeStartUp(Buffer.from(bytes));
        decodeStartUp(Buffer.concat([lengthWord(bytes.length + 8), four(0, 3, 0, 0), bytes]));
      }),
    );
  });
});

describe("a cancel request", () => {
  test("carries keys of 4 to 256 bytes", () => {
    for (const length of [4, 32, 256]) {
      const key = Buffer.alloc(length, 9);
      expect(decodeStartUp(encodeCancelRequest(-5, key))).toMatchObject({
        value: { startUp: { kind: "cancel", processId: -5, key } },
      });
    }
    for (const length of [0, 3, 257]) {
      const packet = encodeCancelRequest(1, Buffer.alloc(length));
      expect(decodeStartUp(packet)).toMatchObject({ error: { code: "malformed" } });
    }
  });
});

function lengthWord(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length, 0);
  return bytes;
}
