import { expect, test } from "vitest";
import {
  countsColumns,
  digestOfColumns,
  isOfShape,
  NO_COLUMNS,
  parameterTypes,
  parseWithTypes,
  type StatementShape,
} from "../../../../../src/proxy/core/session/statement-shape.ts";
import { say } from "../../../../support/raw-client.ts";
import { says } from "./world.ts";

const numbers = (...words: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(words.length * 2);
  words.forEach((word, index) => bytes.writeUInt16BE(word, index * 2));
  return bytes;
};

/** Bind of the unnamed portal to the statement `s` with a parameter, NULL and result formats. */
function bind(formats: readonly number[]): Buffer {
  const parameters = Buffer.from([0, 0, 0, 1, 0x37, 0xff, 0xff, 0xff, 0xff]);
  const results = numbers(formats.length, ...formats);
  return say.any("B", Buffer.concat([Buffer.from("\0s\0"), numbers(1, 0, 2), parameters, results]));
}

test("a Bind with a format for each of several columns counts on them", () => {
  expect(countsColumns(bind([0, 1]))).toBe(true);
  expect(countsColumns(bind([1]))).toBe(false);
  expect(countsColumns(bind([]))).toBe(false);
});

test("a Bind that is cut short anywhere is not read beyond its end", () => {
  const whole = bind([0]);
  for (let length = 5; length < whole.length; length += 1) {
    // Without the last number all of the formats are there to be counted.
    const isCounted = length >= whole.length - 2;
    expect(countsColumns(whole.subarray(0, length))).toBe(!isCounted);
  }
});

/** A RowDescription of one column. */
function column(o: {
  readonly name?: string;
  readonly table?: number;
  readonly type?: number;
  readonly length?: number;
  readonly modifier?: number;
  readonly format?: number;
}): Buffer {
  const rest = Buffer.alloc(18);
  rest.writeUInt32BE(o.table ?? 0, 0);
  rest.writeUInt32BE(o.type ?? 25, 6);
  rest.writeInt16BE(o.length ?? -1, 10);
  rest.writeInt32BE(o.modifier ?? -1, 12);
  rest.writeUInt16BE(o.format ?? 0, 16);
  return say.any(
    "T",
    Buffer.concat([Buffer.from([0, 1]), Buffer.from(`${o.name ?? "a"}\0`), rest]),
  );
}

test("columns differ when name, type, length or modifier do", () => {
  const digest = digestOfColumns(column({}));
  for (const other of [{ name: "b" }, { type: 23 }, { length: 4 }, { modifier: 14 }]) {
    expect(digestOfColumns(column(other)), JSON.stringify(other)).not.toBe(digest);
  }
  expect(digestOfColumns(says.columns("a", "b"))).not.toBe(digestOfColumns(says.columns("ab")));
  expect(digestOfColumns(says.columns())).not.toBe(NO_COLUMNS);
});

test("columns of another table, or in another format, are the same columns", () => {
  const digest = digestOfColumns(column({}));
  expect(digestOfColumns(column({ table: 7 }))).toBe(digest);
  expect(digestOfColumns(column({ format: 1 }))).toBe(digest);
});

test("a RowDescription that is cut short is not read beyond its end", () => {
  const whole = column({});
  for (let length = 5; length < whole.length; length += 1) {
    expect(digestOfColumns(whole.subarray(0, length))).not.toBe(digestOfColumns(whole));
  }
});

test("a statement is prepared again with the types that its parameters have got", () => {
  const parse = say.parse("s", "select $1");
  const description = say.any("t", Buffer.from([0, 1, 0, 0, 0, 25]));
  const again = parseWithTypes(parse, parameterTypes(description));
  const body = Buffer.concat([Buffer.from("s\0select $1\0"), Buffer.from([0, 1, 0, 0, 0, 25])]);
  expect(again).toEqual(say.any("P", body));
  expect(parseWithTypes(again, parameterTypes(description))).toBe(again);
  expect(parseWithTypes(parse, null)).toBe(parse);
});

test("what is of one Parse is of one shape, and of what a client does not know nothing is asked", () => {
  const shape = (parsedAs: number, columns: string | null, parameters: string | null) =>
    ({ parsedAs, columns, parameters }) satisfies StatementShape;
  const server = shape(1, "c", "p");
  expect(isOfShape(server, shape(1, "x", "x"))).toBe(true);
  expect(isOfShape(server, shape(2, "c", "p"))).toBe(true);
  expect(isOfShape(server, shape(2, null, null))).toBe(true);
  expect(isOfShape(server, shape(2, "c", "x"))).toBe(false);
  expect(isOfShape(server, shape(2, "x", "p"))).toBe(false);
  expect(isOfShape(shape(1, null, null), shape(2, "c", null))).toBe(false);
});
