import { buildErrorFields } from "../../../wire/postgres/index.ts";

/**
 * What PostgreSQL says when a table has changed under a prepared statement. The functions that say
 * it are named in an error whatever language its message is in.
 *
 *     the connection has the old plan      0A000 RevalidateCachedQuery   drivers prepare again
 *     it was given a new one meanwhile,    08P01 PortalSetResultFormat   drivers do not expect that
 *     the client's Bind has formats for
 *     the old columns
 *
 * On a connection of its own, the client would have met the first.
 *
 * Source: plancache.c and pquery.c of PostgreSQL 9.6 to 18.
 */
const OUTDATED = "RevalidateCachedQuery";
const MISCOUNTED = "PortalSetResultFormat";

/** "cached plan must not change result type" */
export function isOutdated(fields: ReadonlyMap<string, string>): boolean {
  return fields.get("R") === OUTDATED;
}

/** "bind message has 2 result formats but query has 3 columns" */
export function miscountsColumns(fields: ReadonlyMap<string, string>): boolean {
  return fields.get("R") === MISCOUNTED;
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
