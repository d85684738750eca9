import { expect, test } from "vitest";
import { countsColumns } from "../../../../../src/proxy/core/session/batch-copy.ts";

/** Bind of the unnamed portal to the statement `s` with a parameter, NULL and result formats. */
function bind(formats: readonly number[]): Buffer {
  const numbers = (...words: readonly number[]): Buffer => {
    const bytes = Buffer.alloc(words.length * 2);
    words.forEach((word, index) => bytes.writeUInt16BE(word, index * 2));
    return bytes;
  };
  const parameters = Buffer.from([0, 0, 0, 1, 0x37, 0xff, 0xff, 0xff, 0xff]);
  const results = numbers(formats.length, ...formats);
  const body = Buffer.concat([Buffer.from("\0s\0"), numbers(1, 0, 2), parameters, results]);
  const head = Buffer.from([0x42, 0, 0, 0, 0]);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const SYNC = Buffer.from([0x53, 0, 0, 0, 4]);

test("a Bind with a format for each column cannot be sent again when the columns are others", () => {
  expect(countsColumns(Buffer.concat([bind([0, 1]), SYNC]))).toBe(true);
  expect(countsColumns(Buffer.concat([bind([1]), bind([0, 0]), SYNC]))).toBe(true);
});

test("a Bind with one format for all, or none, can", () => {
  expect(countsColumns(Buffer.concat([bind([1]), SYNC]))).toBe(false);
  expect(countsColumns(Buffer.concat([bind([]), bind([0]), SYNC]))).toBe(false);
});
