import { FRONTEND, HEADER_BYTES } from "../../../wire/postgres/index.ts";
import type { SqlKind } from "../sql/index.ts";
import { mayHaveColumns, textOf } from "./prepared-columns.ts";

/** Of the type text: a stand-in is never executed. */
const TEXT_OID = 25;
const ROLLS_BACK = /^\s*(rollback|abort)\b/i;

/**
 * In a transaction that has failed a server prepares nothing but what ends it, and the client shall
 * hear that from its own message, not from a Parse that we put in front of it. A statement without
 * text may be prepared even then, and is refused like the real one when it is bound, or when its
 * name is given once more; so it takes the place of the real one until the transaction is over.
 *
 *     Bind s1   ->   Parse pgquorum/7 (no text, as many parameters) | Bind pgquorum/7
 *
 * Source: exec_parse_message, exec_bind_message, exec_describe_statement_message in PostgreSQL 15.
 *
 * @param parse the statement's own Parse message.
 * @param isDescribed what it is needed for is a Describe, which tells its columns.
 * @returns null where the real one has to be prepared.
 */
export function standInFor(parse: Buffer, kind: SqlKind, isDescribed: boolean): Buffer | null {
  if (kind === "commit" || kind === "rollback" || kind === "two-phase") return null;
  const nameEnd = parse.indexOf(0, HEADER_BYTES);
  const textEnd = parse.indexOf(0, nameEnd + 1);
  const text = textOf(parse);
  if (ROLLS_BACK.test(text)) return null;
  let parameters = parse.readUInt16BE(textEnd + 1);
  for (const [, number] of text.matchAll(/\$(\d{1,5})/g)) {
    parameters = Math.max(parameters, Number(number));
  }
  if (isDescribed && (parameters > 0 || mayHaveColumns(text))) return null;
  if (parameters > 0xffff) return null;
  const message = Buffer.alloc(nameEnd + 4 + 4 * parameters);
  message[0] = FRONTEND.parse;
  message.writeUInt32BE(message.length - 1, 1);
  parse.copy(message, HEADER_BYTES, HEADER_BYTES, nameEnd);
  message.writeUInt16BE(parameters, nameEnd + 2);
  for (let i = 0; i < parameters; i += 1) message.writeUInt32BE(TEXT_OID, nameEnd + 4 + 4 * i);
  return message;
}
