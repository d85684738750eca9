import { expect, expectTypeOf, test } from "vitest";
import { Secret } from "../../../src/base/index.ts";
import { PARAMETERS } from "../../../src/config/index.ts";
import type { Config } from "../../../src/config/index.ts";
import { resolveName } from "../../../src/config/names.ts";
import { findRow, SECTIONS, TABLE } from "../../../src/config/parameters/table.ts";
import type { ParameterRow, ParameterRows } from "../../../src/config/parameters/parameter.ts";
import { formatValue, initialValue, isSameValue, parseValue } from "../../../src/config/values.ts";
import { configOf } from "./load-text.ts";

const ROWS: readonly (readonly [string, ParameterRow])[] = Object.entries<ParameterRow>(
  TABLE satisfies ParameterRows,
);

test.each(ROWS)("the initial value of %s is allowed and can be written", (_name, row) => {
  const parsed = parseValue(row, formatValue(row, initialValue(row)));
  expect(parsed.ok && isSameValue(parsed.value, initialValue(row))).toBe(true);
});

test.each(ROWS)("%s has a meaning, a release and sound limits", (name, row) => {
  expect(row.about).toMatch(/^[A-Z`].*\.$/);
  expect(row.since).toMatch(/^([0-9]+\.[0-9]|pgquorum)/);
  expect(name).toMatch(/^[a-z][a-z0-9_]*[a-z]$/);
  if (row.type === "int" || row.type === "double") {
    expect(row.min ?? 0).toBeLessThan(row.max ?? Infinity);
  }
  if (row.type === "enum") {
    expect(row.values).toContain(row.initial);
    for (const value of Object.values(row.spellings ?? {})) expect(row.values).toContain(value);
    if (typeof row.ordinals === "object") expect(row.ordinals).toHaveLength(row.values.length);
  }
  if (row.plain === true) expect(row.slots).toBe("backend");
  if (row.type === "secret") expect(row.visibility).toBe("masked");
});

test("no name stands in two sections, and none is left out", () => {
  const names = SECTIONS.flatMap((section) => Object.keys(section.rows));
  expect(new Set(names).size).toBe(names.length);
  expect(names.toSorted()).toEqual(Object.keys(TABLE).toSorted());
  expect(PARAMETERS.map(({ name }) => name)).toEqual(names);
});

test("no older name is also a name of today, and none has two meanings", () => {
  const older = ROWS.flatMap(([, row]) => row.olderNames ?? []);
  expect(new Set(older).size).toBe(older.length);
  for (const name of older) {
    expect(findRow(name)).toBeNull();
    expect(resolveName(name)).toMatchObject({ kind: "parameter" });
  }
});

test("every value of a configuration has the type that its row names", () => {
  const config: Readonly<Record<string, unknown>> = { ...configOf("") };
  const types = { bool: "boolean", int: "number", double: "number", string: "string" } as const;
  for (const [name, row] of ROWS) {
    const value = config[name];
    if (row.slots !== undefined && row.plain !== true) expect(value).toBeUndefined();
    else if (row.type === "list") expect(Array.isArray(value)).toBe(true);
    else if (row.type === "secret") expect(value).toBeInstanceOf(Secret);
    else if (row.type === "enum") expect(row.values).toContain(value);
    else expect(typeof value).toBe(types[row.type]);
  }
});

test("the types of a configuration come from the table", () => {
  expectTypeOf<Config["port"]>().toEqualTypeOf<number>();
  expectTypeOf<Config["use_watchdog"]>().toEqualTypeOf<boolean>();
  expectTypeOf<Config["listen_addresses"]>().toEqualTypeOf<readonly string[]>();
  expectTypeOf<Config["failover_command"]>().toEqualTypeOf<string>();
  expectTypeOf<Config["wd_authkey"]>().toEqualTypeOf<Secret>();
  expectTypeOf<Config["vip_fence"]>().toEqualTypeOf<"auto" | "nft" | "lifetime" | "none">();
  expectTypeOf<Config>().not.toHaveProperty("backend_port");
  expectTypeOf<Config>().toHaveProperty("health_check_period");
});
