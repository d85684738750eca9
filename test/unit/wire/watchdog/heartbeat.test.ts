import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeHeartbeat,
  decodeReleaseDatagram,
  encodeHeartbeat,
  encodeReleaseDatagram,
  HEARTBEAT_BYTES,
} from "../../../../src/wire/watchdog/index.ts";

const key = Buffer.alloc(32, 1);
const beat = { nodeId: 3, bootId: "ab".repeat(16), counter: 77 };

describe("a heartbeat", () => {
  it("comes back as it was", () => {
    fc.assert(
      fc.property(
        fc.nat(65_535),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.maxSafeNat(),
        (nodeId, boot, counter) => {
          const sent = { nodeId, bootId: Buffer.from(boot).toString("hex"), counter };
          const bytes = encodeHeartbeat(sent, key);
          expect(bytes.length).toBe(HEARTBEAT_BYTES);
          expect(decodeHeartbeat(bytes, key)).toEqual({ ok: true, value: sent });
        },
      ),
      { numRuns: 100 },
    );
  });

  it("made with another key is refused, and the key's name is told", () => {
    const bytes = encodeHeartbeat(beat, Buffer.alloc(32, 2));
    expect(decodeHeartbeat(bytes, key)).toEqual({
      ok: false,
      error: expect.stringContaining("wd_authkey"),
    });
  });

  it("with any bit turned is refused", () => {
    const bytes = encodeHeartbeat(beat, key);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const turned = Buffer.from(bytes);
      turned.writeUInt8(turned.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(decodeHeartbeat(turned, key).ok, `bit ${bit}`).toBe(false);
    }
  });

  it("of another length, or any bytes, is refused without an exception", () => {
    const bytes = encodeHeartbeat(beat, key);
    expect(decodeHeartbeat(bytes.subarray(1), key).ok).toBe(false);
    expect(decodeHeartbeat(Buffer.concat([bytes, Buffer.alloc(1)]), key).ok).toBe(false);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 128 }), (any) => {
        expect(decodeHeartbeat(Buffer.from(any), key).ok).toBe(false);
        expect(decodeReleaseDatagram(Buffer.from(any))).toBeNull();
      }),
      { numRuns: 500 },
    );
  });
});

describe("the guardian's datagram", () => {
  const secret = "0f".repeat(32);

  it("comes back as it was, also as a shell prints it", () => {
    expect(decodeReleaseDatagram(encodeReleaseDatagram(secret))).toBe(secret);
    expect(decodeReleaseDatagram(Buffer.from(`PGQUORUM-RELEASED ${secret}`))).toBe(secret);
  });

  it.each([
    `PGQUORUM-RELEASED ${secret.slice(1)}\n`,
    `PGQUORUM-RELEASED ${secret}\n\n`,
    `PGQUORUM-RELEASED ${secret.toUpperCase()}\n`,
    `PGQUORUM-RELEASED  ${secret}\n`,
    `x PGQUORUM-RELEASED ${secret}\n`,
    `PGQUORUM-RELEASED ${secret}${" ".repeat(100)}\n`,
  ])("is nothing else: %j", (text) => {
    expect(decodeReleaseDatagram(Buffer.from(text))).toBeNull();
  });
});
