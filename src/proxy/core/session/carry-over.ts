import type { SessionState } from "./session-state.ts";
import { sqlIdentifier, sqlLiteral } from "./sql-literal.ts";

export interface CarryOver {
  /** Simple queries, in this order; each has a ReadyForQuery of its own. */
  readonly queries: readonly string[];
  /** After an error the connection is as it was; else it is in neither state, and must be closed. */
  readonly isAtomic: boolean;
}

/**
 * What makes a server connection that is in one state be in the other.
 *
 * @returns null when there is nothing to do.
 */
export function carryOver(from: SessionState, to: SessionState): CarryOver | null {
  if (from === to) return null;
  const queries: string[] = [];
  const settings = settingCalls(from.settings, to.settings);
  if (settings.length > 0) queries.push(`SELECT ${settings.join(", ")}`);
  if (from.prepared !== to.prepared) queries.push(...preparedChanges(from.prepared, to.prepared));
  return queries.length === 0 ? null : { queries, isAtomic: queries.length === 1 };
}

/**
 * The old role goes first and the new one comes last: what the user may set, another role perhaps
 * may not.
 */
function settingCalls(
  from: ReadonlyMap<string, string>,
  to: ReadonlyMap<string, string>,
): string[] {
  const calls: string[] = [];
  const oldRole = from.get("role") ?? "none";
  const newRole = to.get("role") ?? "none";
  for (const name of from.keys()) {
    if (name !== "role" && !to.has(name)) calls.push(setConfig(name, "NULL"));
  }
  for (const [name, value] of to) {
    if (name !== "role" && from.get(name) !== value) calls.push(setConfig(name, sqlLiteral(value)));
  }
  const isOther = calls.length > 0 || oldRole !== newRole;
  if (isOther && oldRole !== "none") calls.unshift(setConfig("role", "'none'"));
  if (isOther && newRole !== "none") calls.push(setConfig("role", sqlLiteral(newRole)));
  return calls;
}

/** @param value NULL is a RESET. */
function setConfig(name: string, value: string): string {
  return `pg_catalog.set_config(${sqlLiteral(name)}, ${value}, false)`;
}

/** The server keeps the text around a PREPARE with it: each goes alone. */
function preparedChanges(
  from: ReadonlyMap<string, string>,
  to: ReadonlyMap<string, string>,
): string[] {
  const gone = [...from].filter(([name, text]) => to.get(name) !== text);
  const dropped = gone.map(([name]) => `DEALLOCATE ${sqlIdentifier(name)}`).join("; ");
  const made = [...to].filter(([name, text]) => from.get(name) !== text);
  return [...(dropped === "" ? [] : [dropped]), ...made.map(([, text]) => text)];
}
