import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeTexts,
  encodeFrame,
  encodeTexts,
  PcpFramer,
  REQUEST_LENGTH_MAX,
} from "../../../../src/wire/pcp/index.ts";

function lettersAndTexts(framer: PcpFramer, input: Buffer): readonly string[] | string {
  const frames = framer.push(input);
  if (!frames.ok) return frames.error;
  return frames.value.map(({ type, payload }) => `${type} ${payload.toString("latin1")}`);
}

describe("PCP packets", () => {
  it("are a letter, a length that counts itself, and a payload", () => {
    expect(encodeFrame("I", encodeTexts(["0"]))).toEqual(Buffer.from("I\0\0\0\x060\0", "latin1"));
    expect(encodeFrame("M")).toEqual(Buffer.from("M\0\0\0\x04", "latin1"));
  });

  it("come out the same however the bytes were cut", () => {
    const packets = fc.array(
      fc.tuple(fc.constantFrom("M", "R", "I", "X"), fc.string({ maxLength: 40 })),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(packets, fc.array(fc.integer({ min: 1, max: 30 })), (wanted, cuts) => {
        const bytes = Buffer.concat(
          wanted.map(([letter, text]) => encodeFrame(letter, Buffer.from(text))),
        );
        const framer = new PcpFramer(REQUEST_LENGTH_MAX);
        const seen: string[] = [];
        for (let rest = bytes, at = 0; rest.length > 0; at += 1) {
          const size = cuts[at % Math.max(cuts.length, 1)] ?? rest.length;
          const frames = framer.push(rest.subarray(0, size));
          if (frames.ok) seen.push(...frames.value.map((f) => `${f.type}${String(f.payload)}`));
          rest = rest.subarray(size);
        }
        expect(seen).toEqual(wanted.map(([letter, text]) => `${letter}${text}`));
      }),
    );
  });

  it.each([
    ["0", 0],
    ["less than itself", 3],
    ["negative", -1],
    ["260", 260],
    ["2 GB", 0x7fffffff],
  ])("with a length of %s are refused before a byte of them is kept", (_what, length) => {
    const header = Buffer.alloc(5, "I");
    header.writeInt32BE(length, 1);
    expect(lettersAndTexts(new PcpFramer(REQUEST_LENGTH_MAX), header)).toBe("bad-length");
  });

  it("of the largest length pass", () => {
    const largest = encodeFrame("R", Buffer.alloc(REQUEST_LENGTH_MAX - 4, "a"));
    expect(lettersAndTexts(new PcpFramer(REQUEST_LENGTH_MAX), largest)).toHaveLength(1);
  });
});

describe("C strings", () => {
  it("end at a NUL, also one that a text brings along", () => {
    expect(encodeTexts(["a\0b", ""])).toEqual(Buffer.from("a\0\0"));
  });

  it("are read with or without their last NUL", () => {
    expect(decodeTexts(Buffer.from("a\0b"))).toEqual(["a", "b"]);
    expect(decodeTexts(Buffer.from("a\0\0"))).toEqual(["a", ""]);
    expect(decodeTexts(Buffer.alloc(0))).toEqual([]);
  });
});
