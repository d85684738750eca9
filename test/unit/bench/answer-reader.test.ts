import { describe, expect, it } from "vitest";
import { AnswerReader } from "../../../bench/answer-reader.ts";

function message(type: string, body: string | Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(Buffer.byteLength(body) + 4, 1);
  return Buffer.concat([head, Buffer.from(body)]);
}

// A row that looks like the end of an answer is none.
const ROW = message("D", message("Z", "I"));
const ANSWER = Buffer.concat([message("T", "\0\0"), ROW, message("C", "SELECT 1\0")]);
const READY = message("Z", "I");
const REFUSAL = message("E", "SFATAL\0C53300\0Mtoo many\0\0");

describe("the reader of answers", () => {
  it("finds the end of an answer, wherever the bytes are cut", () => {
    const all = Buffer.concat([ANSWER, READY, message("n", ""), READY]);
    for (let cut = 0; cut <= all.length; cut += 1) {
      const reader = new AnswerReader();
      const ready = reader.push(all.subarray(0, cut)) + reader.push(all.subarray(cut));
      expect(`${cut}: ${ready}`).toBe(`${cut}: 2`);
      expect(reader.failure).toBeNull();
    }
  });

  it("finds it when every byte comes alone", () => {
    const reader = new AnswerReader();
    const counts = Array.from(Buffer.concat([ANSWER, READY])).map((byte) =>
      reader.push(Buffer.from([byte])),
    );
    expect(counts.at(-1)).toBe(1);
    expect(counts.slice(0, -1).every((count) => count === 0)).toBe(true);
  });

  it("tells the first error's message", () => {
    const reader = new AnswerReader();
    expect(reader.push(Buffer.concat([REFUSAL, message("E", "Mlater\0\0"), READY]))).toBe(1);
    expect(reader.failure).toBe("too many");
  });
});
