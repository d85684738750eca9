import { expect, test } from "vitest";
import { reliesOnColumns } from "../../../../../src/proxy/core/session/batch-copy.ts";

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

const DESCRIBE = Buffer.from("D\0\0\0\x06P\0");

test("a Bind with a format for each column relies on them", () => {
  expect(reliesOnColumns(Buffer.concat([bind([0, 1]), DESCRIBE, SYNC]))).toBe(true);
  expect(reliesOnColumns(Buffer.concat([bind([1]), bind([0, 0]), DESCRIBE, SYNC]))).toBe(true);
});

test("a Bind with one format for all, or none, relies on them unless it asks for them", () => {
  expect(reliesOnColumns(Buffer.concat([bind([1]), DESCRIBE, SYNC]))).toBe(false);
  expect(reliesOnColumns(Buffer.concat([bind([]), DESCRIBE, bind([0]), DESCRIBE]))).toBe(false);
  expect(reliesOnColumns(Buffer.concat([bind([]), SYNC]))).toBe(true);
});
