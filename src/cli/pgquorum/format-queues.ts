import type { NodeList, QueueRow } from "../../wire/ipc/index.ts";
import { formatTable, visible } from "./table.ts";

/** What `pgquorum queues` prints: places for clients first, then server connections. */
export function formatQueues({ rows, silentWorkers }: NodeList<QueueRow>): string {
  const places = rows.filter(({ what }) => what === "places").toSorted(byWorker);
  const connections = rows.filter(({ what }) => what === "connections").toSorted(byWorker);
  const titles = ["queue", "worker", "backend", "user", "database", "used", "unused", "max"];
  const lines = [...places, ...connections].map((row) => [
    row.what,
    `${row.worker} (${row.workerPid})`,
    row.backendId === null ? "" : String(row.backendId),
    visible(row.user),
    visible(row.database),
    String(row.used),
    String(row.unused),
    row.max === 0 ? "" : String(row.max),
    String(row.waiting),
    `${(row.oldestWaitMs / 1000).toFixed(1)} s`,
  ]);
  const silent = silentWorkers.map(
    (id) => `worker ${id} does not answer: its queues are missing\n`,
  );
  return `${formatTable([...titles, "waiting", "longest"], lines)}${silent.join("")}`;
}

function byWorker(one: QueueRow, other: QueueRow): number {
  return one.worker - other.worker;
}
