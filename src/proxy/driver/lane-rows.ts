import type { QueueRow } from "../../wire/ipc/index.ts";
import { monotonicNowMs } from "../../os/index.ts";
import type { SharedLane } from "./shared-connections.ts";

/** The connections that sessions of this worker share, kind by kind. */
export function laneRows(worker: number, lanes: Iterable<SharedLane>): QueueRow[] {
  const nowMs = monotonicNowMs();
  return [...lanes].map((lane) => {
    const { backendId, user, database } = lane.of;
    const oldestMs = lane.first?.sinceMs ?? nowMs;
    return {
      worker,
      workerPid: process.pid,
      what: "connections",
      backendId,
      user: user.slice(0, NAME_LENGTH_MAX),
      database: database.slice(0, NAME_LENGTH_MAX),
      used: lane.count - lane.idle.length,
      unused: lane.idle.length,
      max: lane.rooms[0]?.max ?? 0,
      waiting: lane.waiting,
      oldestWaitMs: Math.max(0, Math.round(nowMs - oldestMs)),
    };
  });
}

/** As PostgreSQL shortens names. */
const NAME_LENGTH_MAX = 63;
