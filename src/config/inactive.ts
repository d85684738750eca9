import type { Config, PlainName, Value } from "./config.ts";
import type { ParameterRow } from "./parameters/parameter.ts";
import { findRow, isPlain } from "./parameters/table.ts";
import { initialValue, isSameValue } from "./values.ts";

/** The value of a name of the table that stands without a number. */
export function plainValue(config: Config, name: string): Value {
  return config[name as PlainName];
}

/**
 * Names that the files set to another value than the initial one although setting them changes
 * nothing yet; sorted. To be logged once at start, so that nobody relies on them.
 */
export function notActingYet(config: Config): readonly string[] {
  return ignored(config).filter((name) => findRow(name)?.hasNoMeaning !== true);
}

/** The same of names that have nothing to change here. */
export function withoutMeaning(config: Config): readonly string[] {
  return ignored(config).filter((name) => findRow(name)?.hasNoMeaning === true);
}

function ignored(config: Config): readonly string[] {
  return [...config.set]
    .filter((name) => {
      const row = findRow(name);
      return row !== null && isPlain(row) && isIgnored(row, plainValue(config, name));
    })
    .sort();
}

function isIgnored(row: ParameterRow, value: Value): boolean {
  return !row.acts && !isSameValue(value, initialValue(row));
}
