import { Secret } from "../base/index.ts";
import type { Config, PlainName } from "./config.ts";
import { findRow } from "./parameters/table.ts";
import { formatValue } from "./values.ts";

/** The text that would give a parameter the value it has; `isSecret`: never to be printed. */
export function settingText(
  config: Config,
  name: PlainName,
): { readonly text: string; readonly isSecret: boolean } {
  const row = findRow(name);
  const value = config[name];
  if (value instanceof Secret) return { text: value.reveal(), isSecret: true };
  return { text: row === null ? "" : formatValue(row, value), isSecret: false };
}
