import { fail, Secret, succeed } from "../base/index.ts";
import type { Result } from "../base/index.ts";
import type { Value } from "./config.ts";
import type { EnumRow, NumberRow, ParameterRow, StringRow, Unit } from "./parameters/parameter.ts";
import { splitOutside } from "./list-text.ts";
import { maxOf, minOf } from "./parameters/table.ts";

/**
 * Reads the text of a value by the rules of its row; the error says what was expected.
 *
 * Unlike in Pgpool-II, a text that is no boolean is refused rather than taken as true, and so is a
 * time or size above zero that would round to zero, because zero mostly means "never".
 */
export function parseValue(row: ParameterRow, text: string): Result<Value, string> {
  switch (row.type) {
    case "bool":
      return parseBool(text);
    case "int":
    case "double":
      return parseNumber(row, text);
    case "enum":
      return parseEnum(row, text);
    case "list":
      return succeed(splitOutside(text, row.separator));
    case "secret":
      return parseSecret(row, text);
    case "string":
      break;
  }
  return succeed(text);
}

export function initialValue(row: ParameterRow): Value {
  return row.type === "secret" ? new Secret(row.initial) : row.initial;
}

export function isSameValue(left: Value, right: Value): boolean {
  return comparable(left) === comparable(right);
}

/** The text that would give this value again; times and sizes in the largest unit that fits. */
export function formatValue(row: ParameterRow, value: Value): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  if (typeof value === "string") return value;
  if (value instanceof Secret) return value.toString();
  if (typeof value === "object") return value.join(row.type === "list" ? row.separator : ",");
  if (row.type !== "int" && row.type !== "double") return String(value);
  if (row.octal === true) return formatOctal(value);
  return row.unit === undefined ? String(value) : formatWithUnit(value, row.unit);
}

const TIME_US = { us: 1, ms: 1e3, s: 1e6, min: 6e7, h: 3.6e9, d: 8.64e10 } as const;
const SIZE_B = { B: 1, kB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 } as const;

const FULL_NAMES: Readonly<Record<Unit, string>> = {
  us: "microseconds",
  ms: "milliseconds",
  s: "seconds",
  min: "minutes",
  B: "bytes",
  kB: "kilobytes",
};

function parseBool(text: string): Result<boolean, string> {
  const word = text.toLowerCase();
  if (word === "1" || word === "on") return succeed(true);
  // `o` alone could be either.
  if (word === "0" || word === "off" || word === "of") return succeed(false);
  if (word !== "" && ("true".startsWith(word) || "yes".startsWith(word))) return succeed(true);
  if (word !== "" && ("false".startsWith(word) || "no".startsWith(word))) return succeed(false);
  return fail("expected on or off");
}

function parseEnum(row: EnumRow, text: string): Result<string, string> {
  const word = text.toLowerCase();
  const spelled = Object.entries(row.spellings ?? {}).find(([spelling]) => spelling === word);
  const found = spelled?.[1] ?? row.values.find((value) => value.toLowerCase() === word);
  return found === undefined ? fail(`expected one of: ${row.values.join(", ")}`) : succeed(found);
}

function parseSecret(row: StringRow, text: string): Result<Secret, string> {
  if (row.password !== true) return succeed(new Secret(text));
  if (text.startsWith("TEXT")) return succeed(new Secret(text.slice(4)));
  // Refused, not used as it is: a health check with a wrong password would end in a failover.
  if (row.acts && text.startsWith("AES")) return fail("encrypted passwords are not supported yet");
  if (row.acts && /^md5[0-9a-f]{32}$/.test(text)) return fail("a hash is no password to send");
  return succeed(new Secret(text));
}

/** Sign, number (hexadecimal, leading-0 octal or decimal) and unit. */
const NUMBER =
  /^([+-]?)(0x[0-9A-Fa-f]+|[0-9]+\.?[0-9]*(?:[Ee][+-]?[0-9]+)?|\.[0-9]+(?:[Ee][+-]?[0-9]+)?)\s*([A-Za-z]*)$/;

function parseNumber(row: NumberRow, text: string): Result<number, string> {
  const expected = expectedNumber(row);
  const [, sign = "", digits = "", suffix = ""] = NUMBER.exec(text.trim()) ?? [];
  const magnitude = row.type === "int" ? parseInteger(digits) : Number(digits);
  const factor = suffix === "" ? 1 : unitFactor(suffix, row.unit);
  if (digits === "" || magnitude === null || factor === null) return fail(expected);
  const exact = (sign === "-" ? -magnitude : magnitude) * factor;
  const value = row.type === "int" ? Math.round(exact) : exact;
  // Only a unit explains a fraction: `1.5min` is 90 seconds, `max_pool = 1.5` is a slip.
  if (value !== exact && suffix === "") return fail(expected);
  if (value === 0 && exact !== 0 && row.unit !== undefined) {
    return fail(`it rounds to 0 ${FULL_NAMES[row.unit]}; ${expected}`);
  }
  // The initial value may stand below the range: port 0 means "not given".
  const isAllowed = value === row.initial || (value >= minOf(row) && value <= maxOf(row));
  // Rounding may have made a negative zero, which is no zero to a strict comparison.
  return isAllowed ? succeed(value === 0 ? 0 : value) : fail(expected);
}

function parseInteger(digits: string): number | null {
  if (digits.startsWith("0x")) return Number.parseInt(digits.slice(2), 16);
  if (!/^0[0-9]+$/.test(digits)) return Number(digits);
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : null;
}

function unitFactor(suffix: string, unit: Unit | undefined): number | null {
  const units = unit === undefined ? null : unitsLike(unit);
  if (units === null || unit === undefined || !Object.hasOwn(units, suffix)) return null;
  return (units[suffix] ?? 0) / (units[unit] ?? 1);
}

function unitsLike(unit: Unit): Readonly<Record<string, number>> {
  return Object.hasOwn(SIZE_B, unit) ? SIZE_B : TIME_US;
}

function expectedNumber(row: NumberRow): string {
  const kind = row.type === "int" ? "a whole number" : "a number";
  const shown = (value: number): string =>
    row.octal === true ? formatOctal(value) : String(value);
  const range = `from ${shown(minOf(row))} to ${shown(maxOf(row))}`;
  if (row.unit === undefined) return `expected ${kind} ${range}`;
  const units = Object.keys(unitsLike(row.unit)).join(", ");
  return `expected ${kind} of ${FULL_NAMES[row.unit]} ${range}; units are ${units}`;
}

function formatOctal(value: number): string {
  return value === 0 ? "0" : `0${value.toString(8)}`;
}

function formatWithUnit(value: number, unit: Unit): string {
  if (value === 0) return "0";
  const units = unitsLike(unit);
  const base = value * (units[unit] ?? 1);
  const fitting = Object.entries(units).filter(
    ([, size]) => size >= (units[unit] ?? 1) && base % size === 0,
  );
  const [name, size] = fitting.at(-1) ?? [unit, units[unit] ?? 1];
  return `${base / size}${name}`;
}

function comparable(value: Value): string {
  if (value instanceof Secret) return `secret ${value.reveal()}`;
  return JSON.stringify(value);
}
