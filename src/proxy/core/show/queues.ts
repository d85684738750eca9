import type { QueueRow } from "../../../wire/ipc/index.ts";

/** Rows of SHOW POOL_QUEUES: worker by worker, its places for clients first. */
export function queueRows(rows: readonly QueueRow[]): readonly string[][] {
  return rows
    .toSorted((one, other) => one.worker - other.worker)
    .map((row) => [
      String(row.worker),
      String(row.workerPid),
      row.what,
      row.backendId === null ? "" : String(row.backendId),
      row.user,
      row.database,
      String(row.used),
      String(row.unused),
      row.max === 0 ? "" : String(row.max),
      String(row.waiting),
      String(row.oldestWaitMs),
    ]);
}
