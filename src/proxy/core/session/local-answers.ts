import type { Failure, Result } from "../../../base/index.ts";
import { buildError, buildReady, buildTextResult, READY } from "../../../wire/postgres/index.ts";
import type { ShowAnswer } from "../show/index.ts";
import type { SqlClass } from "../sql/index.ts";

/**
 * The whole reply to a statement of ours, with ReadyForQuery.
 *
 * @param status of the transaction; different from Pgpool-II, which always says idle.
 * @param show null: the answer is not there yet.
 * @returns null when there is none yet.
 */
export function buildLocalAnswer(
  sql: SqlClass,
  status: number,
  show: () => Result<ShowAnswer, Failure> | null,
): Buffer | null {
  const reply = buildReply(sql, status, show);
  return reply === null ? null : Buffer.concat([reply, buildReady(status)]);
}

function buildReply(
  sql: SqlClass,
  status: number,
  show: () => Result<ShowAnswer, Failure> | null,
): Buffer | null {
  if (status === READY.failed) return buildError(ABORTED);
  if (sql.kind === "pgpool") return buildError(NO_PGPOOL_COMMAND);
  const answer = show();
  if (answer === null) return null;
  if (!answer.ok) return buildError(answer.error);
  return buildTextResult(answer.value.columns, answer.value.rows, answer.value.tag);
}

const ABORTED: Failure = {
  severity: "ERROR",
  sqlstate: "25P02",
  message: "current transaction is aborted, commands ignored until end of transaction block",
};

const NO_PGPOOL_COMMAND: Failure = {
  severity: "ERROR",
  sqlstate: "0A000",
  message: "PGPOOL SHOW, PGPOOL SET and PGPOOL RESET are not available",
  hint: "SHOW POOL_STATUS lists the parameters.",
};
