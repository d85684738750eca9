import { FRONTEND, HEADER_BYTES, READY } from "../../../wire/postgres/index.ts";
import { LEAVES } from "../sql/index.ts";
import type { BackendLink } from "./backend-link.ts";
import type { PreparedStatement } from "./prepared-statement.ts";

/**
 * What columns a Describe of a statement tells. Nearly always its text says so. But those of
 * EXECUTE and FETCH are the ones that the statement or the cursor had which the name meant when the
 * client prepared it: prepared again, they would tell what it means by then.
 *
 * - `text`: what the text says.
 * - `nothing`: the name meant nothing, so that there are no columns.
 * - `unknown`: what it meant is not known; perhaps a cursor, which ends with its transaction.
 * - a statement: it was that one.
 *
 * Source: PlanCacheComputeResultDesc in plancache.c, UtilityReturnsTuples in utility.c and
 * FetchStatementTargetList in pquery.c of PostgreSQL 15, which crashes when a FETCH is described
 * whose cursor is gone.
 */
export type Columns = "text" | "nothing" | "unknown" | PreparedStatement;

const OTHER_CURSOR_COMMAND = /^\s*(declare|close|move)\b/i;
/** Enough to find the first word of a text in. */
const FIRST_WORD_BYTES = 256;

/** @param meant what the name that it executes means now. */
export function columnsOfExecute(meant: PreparedStatement | undefined): Columns {
  if (meant === undefined) return "nothing";
  const parse = meant.shared?.parse ?? meant.parse;
  return parse === null || mayHaveColumns(textOf(parse)) ? meant : "nothing";
}

/** Of FETCH, and of other statements about cursors. */
export function columnsOfCursor(
  link: BackendLink,
  input: Buffer,
  textStart: number,
  textEnd: number,
): Columns {
  const end = Math.min(textEnd, textStart + FIRST_WORD_BYTES);
  if (OTHER_CURSOR_COMMAND.test(input.toString("latin1", textStart, end))) return "text";
  // Outside a transaction there is no cursor but those that keep the connection.
  const isOutside = link.status === READY.idle && link.pending.isIdle;
  return isOutside && (link.keeps & LEAVES.cursors) === 0 ? "nothing" : "unknown";
}

const COMMENTS = /^(?:\s|--[^\n]*|\/\*(?:[^*/]|\*(?!\/)|\/(?!\*))*\*\/)+/;
/** A word that begins no statement with columns. */
const COMMAND =
  /^(?!(?:select|with|values|table|show|explain|execute|fetch|call)(?![\w$]))[a-z]\w*/i;
const RETURNING = /\breturning\b/i;

/** Describing a statement of this text may tell columns. False only when it surely does not. */
export function mayHaveColumns(text: string): boolean {
  const rest = text.replace(COMMENTS, "");
  return rest !== "" && (!COMMAND.test(rest) || RETURNING.test(rest));
}

/** The text in a Parse message, a character a byte. */
export function textOf(parse: Buffer): string {
  const nameEnd = parse.indexOf(0, HEADER_BYTES);
  return parse.toString("latin1", nameEnd + 1, parse.indexOf(0, nameEnd + 1));
}

/** The Parse message of a statement without text, which has no columns, and the same parameters. */
export function withoutText(parse: Buffer): Buffer {
  const nameEnd = parse.indexOf(0, HEADER_BYTES);
  const textEnd = parse.indexOf(0, nameEnd + 1);
  const message = Buffer.concat([parse.subarray(0, nameEnd + 1), parse.subarray(textEnd)]);
  message[0] = FRONTEND.parse;
  message.writeUInt32BE(message.length - 1, 1);
  return message;
}
