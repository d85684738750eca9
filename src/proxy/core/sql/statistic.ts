import { STATISTIC } from "../../../wire/ipc/index.ts";
import type { SqlKind } from "./class.ts";

/**
 * As what a statement is counted. Source: Pgpool-II manual, "SHOW POOL_BACKEND_STATS"; behaviour of
 * 4.3.5, for which an empty text is a SELECT. Different: what cannot be read is no DELETE.
 *
 * @param word the first one, in lower case.
 */
export function statisticFor(kind: SqlKind, word: string): number {
  switch (kind) {
    case "read":
    case "empty":
      return STATISTIC.select;
    case "begin":
    case "commit":
    case "rollback":
    case "savepoint":
    case "two-phase":
    case "set":
    case "show":
    case "show-pool":
    case "pgpool":
    case "discard":
    case "listen":
    case "prepare":
    case "execute":
    case "deallocate":
    case "explain":
      return STATISTIC.other;
    case "cursor":
    case "copy-in":
    case "copy-out":
    case "write":
    case "unparsable":
      return BY_WORD[word] ?? STATISTIC.ddl;
  }
}

const BY_WORD: Readonly<Record<string, number | undefined>> = {
  select: STATISTIC.select,
  values: STATISTIC.select,
  table: STATISTIC.select,
  "(": STATISTIC.select,
  insert: STATISTIC.insert,
  update: STATISTIC.update,
  delete: STATISTIC.delete,
  checkpoint: STATISTIC.other,
  load: STATISTIC.other,
  lock: STATISTIC.other,
  vacuum: STATISTIC.other,
  analyze: STATISTIC.other,
  analyse: STATISTIC.other,
};

/** By the name of its node in the grammar's tree; null: the first word tells. */
export function statisticOfNode(node: string): number | null {
  return BY_NODE[node] ?? null;
}

const BY_NODE: Readonly<Record<string, number | undefined>> = {
  SelectStmt: STATISTIC.select,
  InsertStmt: STATISTIC.insert,
  UpdateStmt: STATISTIC.update,
  DeleteStmt: STATISTIC.delete,
};
