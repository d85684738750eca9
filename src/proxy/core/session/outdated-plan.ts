import { buildErrorFields } from "../../../wire/postgres/index.ts";

/**
 * What PostgreSQL says when a table has changed under a prepared statement. The function that says
 * it is named in the error whatever language its message is in; drivers look for it, and prepare again.
 *
 * Source: plancache.c of PostgreSQL 9.6 to 18.
 */
const OUTDATED = "RevalidateCachedQuery";

/** "cached plan must not change result type" */
export function isOutdated(fields: ReadonlyMap<string, string>): boolean {
  return fields.get("R") === OUTDATED;
}

/** There is no statement of that name: what a Bind that is made to fail is answered with. */
export function isOfNobody(fields: ReadonlyMap<string, string>): boolean {
  return fields.get("C") === "26000";
}

/** The ErrorResponse that says that the plan is outdated, in place of one with these fields. */
export function asOutdated(fields: ReadonlyMap<string, string>): Buffer {
  return buildErrorFields(
    new Map([
      ["S", fields.get("S") ?? "ERROR"],
      ["V", fields.get("V") ?? "ERROR"],
      ["C", "0A000"],
      ["M", "cached plan must not change result type"],
      ["F", "plancache.c"],
      ["R", OUTDATED],
    ]),
  );
}
