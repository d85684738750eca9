import { expect, test } from "vitest";
import { Secret } from "../../../src/base/index.ts";
import type { ParameterRow } from "../../../src/config/parameters/parameter.ts";
import { formatValue, parseValue } from "../../../src/config/values.ts";

const COMMON = { context: "init", since: "1.0", acts: true, about: "" } as const;
const BOOL: ParameterRow = { ...COMMON, type: "bool", initial: false };
const SECONDS: ParameterRow = { ...COMMON, type: "int", unit: "s", initial: 10, max: 86_400 };
const KILOBYTES: ParameterRow = { ...COMMON, type: "int", unit: "kB", initial: 0 };
const COUNT: ParameterRow = { ...COMMON, type: "int", initial: 0, min: 1024, max: 65_535 };
const SIGNED: ParameterRow = { ...COMMON, type: "int", initial: 0, min: -1 };
const WEIGHT: ParameterRow = { ...COMMON, type: "double", initial: 0, max: 100 };
const LIST: ParameterRow = { ...COMMON, type: "list", separator: ";", initial: [] };
const CHOICE: ParameterRow = {
  ...COMMON,
  type: "enum",
  values: ["off", "LOUD"],
  spellings: { no: "off" },
  initial: "off",
};
const PASSWORD: ParameterRow = { ...COMMON, type: "secret", initial: "", password: true };

const GOOD = [
  [BOOL, "on", true],
  [BOOL, "TRUE", true],
  [BOOL, "t", true],
  [BOOL, "y", true],
  [BOOL, "1", true],
  [BOOL, "off", false],
  [BOOL, "of", false],
  [BOOL, "fal", false],
  [BOOL, "n", false],
  [BOOL, "0", false],
  [SECONDS, "30", 30],
  [SECONDS, "1min", 60],
  [SECONDS, "1.5min", 90],
  [SECONDS, "2 h", 7200],
  [SECONDS, "1d", 86_400],
  [SECONDS, "1500ms", 2],
  [SECONDS, "2000000us", 2],
  [SECONDS, "0s", 0],
  [SECONDS, "0x10", 16],
  [SECONDS, "010", 8],
  [SECONDS, "1e2", 100],
  [KILOBYTES, "10MB", 10_240],
  [KILOBYTES, "1GB", 1_048_576],
  [KILOBYTES, "2048B", 2],
  [COUNT, "1024", 1024],
  [COUNT, "0", 0],
  [SIGNED, "-1", -1],
  [SIGNED, "-0", 0],
  [WEIGHT, "0.5", 0.5],
  [WEIGHT, "1e1", 10],
  [LIST, "ABORT; DISCARD ALL;", ["ABORT", "DISCARD ALL"]],
  [LIST, "a\\;b;c", ["a\\;b", "c"]],
  [LIST, "", []],
  [CHOICE, "loud", "LOUD"],
  [CHOICE, "No", "off"],
] as const;

test.each(GOOD)("%j reads %j as %j", (row, text, value) => {
  expect(parseValue(row, text)).toEqual({ ok: true, value });
});

const BAD = [
  [BOOL, "maybe", "expected on or off"],
  [BOOL, "o", "expected on or off"],
  [BOOL, "", "expected on or off"],
  [BOOL, "2", "expected on or off"],
  [COUNT, "80", "expected a whole number from 1024 to 65535"],
  [COUNT, "65536", "expected a whole number from 1024 to 65535"],
  [COUNT, "5432s", "expected a whole number from 1024 to 65535"],
  [COUNT, "5432.5", "expected a whole number from 1024 to 65535"],
  [COUNT, "many", "expected a whole number from 1024 to 65535"],
  [COUNT, "", "expected a whole number from 1024 to 65535"],
  [COUNT, ".", "expected a whole number from 1024 to 65535"],
  [COUNT, "09999", "expected a whole number from 1024 to 65535"],
  [COUNT, "1e999", "expected a whole number from 1024 to 65535"],
  [SECONDS, "10sec", "units are us, ms, s, min, h, d"],
  [SECONDS, "10MB", "units are us, ms, s, min, h, d"],
  [SECONDS, "1.5", "expected a whole number of seconds"],
  [SECONDS, "200ms", "it rounds to 0 seconds"],
  [SECONDS, "-1", "expected a whole number of seconds from 0 to 86400"],
  [KILOBYTES, "10m", "units are B, kB, MB, GB, TB"],
  [SIGNED, "-2", "expected a whole number from -1 to 2147483647"],
  [WEIGHT, "-0.1", "expected a number from 0 to 100"],
  [CHOICE, "quiet", "expected one of: off, LOUD"],
  [CHOICE, "constructor", "expected one of: off, LOUD"],
] as const;

test.each(BAD)("%j refuses %j: %s", (row, text, expected) => {
  const parsed = parseValue(row, text);
  expect(parsed.ok ? "accepted" : parsed.error).toContain(expected);
});

test("TEXT in front of a password marks it as plain and is no part of it", () => {
  const parsed = parseValue(PASSWORD, "TEXTpass");
  expect(parsed.ok && parsed.value instanceof Secret && parsed.value.reveal()).toBe("pass");
});

test("an encrypted or hashed password is refused rather than sent as it is", () => {
  expect(parseValue(PASSWORD, "AESabc=").ok).toBe(false);
  expect(parseValue(PASSWORD, `md5${"0".repeat(32)}`).ok).toBe(false);
});

test("a key that is no password keeps its TEXT", () => {
  const parsed = parseValue({ ...COMMON, type: "secret", initial: "" }, "TEXTkey");
  expect(parsed.ok && parsed.value instanceof Secret && parsed.value.reveal()).toBe("TEXTkey");
});

const SHOWN = [
  [SECONDS, 60, "1min"],
  [SECONDS, 90, "90s"],
  [SECONDS, 0, "0"],
  [SECONDS, 172_800, "2d"],
  [KILOBYTES, 10_240, "10MB"],
  [SIGNED, -1, "-1"],
  [{ ...COMMON, type: "int", initial: 0, octal: true }, 0o600, "0600"],
  [BOOL, true, "on"],
  [LIST, ["a", "b"], "a;b"],
  [PASSWORD, new Secret("x"), "*****"],
] as const satisfies readonly (readonly [ParameterRow, unknown, string])[];

test.each(SHOWN)("%j shows %j as %j", (row, value, text) => {
  expect(formatValue(row, value)).toBe(text);
});
