import { expect, test } from "vitest";
import {
  buildError,
  buildKeyData,
  buildParameterStatus,
  buildTextResult,
  readErrorFields,
  readKeyData,
  readParameterStatus,
} from "../../../../src/wire/postgres/index.ts";

test("an error is read back field by field", () => {
  const error = buildError({
    severity: "FATAL",
    sqlstate: "53300",
    message: "Sorry",
    hint: "Raise it.",
  });
  expect(Object.fromEntries(readErrorFields(error))).toEqual({
    S: "FATAL",
    V: "FATAL",
    C: "53300",
    M: "Sorry",
    H: "Raise it.",
  });
});

test("an error that is cut short gives the fields that are whole", () => {
  const error = Buffer.from([0x45, 0, 0, 0, 12, 0x53, 0x41, 0, 0x4d, 0x42]);
  expect(Object.fromEntries(readErrorFields(error))).toEqual({ S: "A" });
});

test("keys and parameters are read back", () => {
  expect(readKeyData(buildKeyData(77, Buffer.from([0xff, 0xff, 0xff, 0xfd])))).toEqual({
    processId: 77,
    key: Buffer.from([0xff, 0xff, 0xff, 0xfd]),
  });
  expect(readParameterStatus(buildParameterStatus("a", "b"))).toEqual({ name: "a", value: "b" });
  expect(readParameterStatus(Buffer.from([0x53, 0, 0, 0, 5, 0x41]))).toBeNull();
});

test("a text result has columns of type text, rows with nulls, and its tag", () => {
  const bytes = buildTextResult(["one", "two"], [["x", null]], "SELECT 1");
  const rest = "\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";
  const description = `\0\x02one\0${rest}two\0${rest}`;
  const row = "\0\x02\0\0\0\x01x\xff\xff\xff\xff";
  expect(bytes.toString("latin1")).toBe(
    `T\0\0\0${String.fromCharCode(description.length + 4)}${description}` +
      `D\0\0\0${String.fromCharCode(row.length + 4)}${row}` +
      "C\0\0\0\x0dSELECT 1\0",
  );
});
