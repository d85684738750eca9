import { buildMessage, buildQuery, FRONTEND } from "../../../wire/postgres/index.ts";

const ENDS = /^(?:commit|end|rollback|abort|prepare\s+transaction)(?![\w$])/i;
/** Without comments between the words. */
const WHOLE =
  /^(?:commit|end|rollback|abort)(?:\s+(?:work|transaction))?(?:\s+and\s+(?:no\s+)?chain)?\s*(?:;|$)/i;
const TO_SAVEPOINT =
  /^rollback(?:\s+(?:work|transaction))?\s+to(?:\s+savepoint)?\s+([a-z_][\w$]*|"[\w $]+")\s*(?:;|$)/i;
/** White space, comments and statements of nothing. */
const NOTHING = /^(?:[\s;]|--[^\n]*|\/\*(?:[^*/]|\*(?!\/)|\/(?!\*))*\*\/)+/;

/** Has a transaction fail: nobody has such a portal. */
export const FAILING_EXECUTE = buildMessage(
  FRONTEND.execute,
  Buffer.from("pgquorum/none\0\0\0\0\0"),
);

/**
 * A transaction that has failed lets nothing be prepared, although behind a ROLLBACK a text of
 * several statements may name what the server does not have. So the transaction is replaced by a
 * new one of the same kind, which has done nothing: there it can be prepared, and then it fails too.
 *
 *     rollback; execute s1   ->   ROLLBACK AND CHAIN | Parse s1, (an error) | rollback; execute s1
 *
 * @param text of a simple Query that the grammar understands.
 * @returns what replaces the transaction; "refused" when all of the text is refused because it does
 *   not begin by ending the transaction; "other" when it ends it in a way that is not for here.
 */
export function replacementOfFailed(text: string): Buffer | "refused" | "other" {
  const first = text.replace(NOTHING, "");
  const savepoint = TO_SAVEPOINT.exec(first)?.[1];
  if (savepoint !== undefined) return buildQuery(`ROLLBACK TO SAVEPOINT ${savepoint}`);
  if (WHOLE.test(first)) return buildQuery("ROLLBACK AND CHAIN");
  return ENDS.test(first) ? "other" : "refused";
}
