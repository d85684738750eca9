import type { QueueRow } from "../../wire/ipc/index.ts";
import { monotonicNowMs } from "../../os/index.ts";
import type { KindCounts } from "./backend-pool.ts";
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
      max: lane.max,
      waiting: lane.waiting,
      oldestWaitMs: Math.max(0, Math.round(nowMs - oldestMs)),
    };
  });
}

/**
 * The connections of sessions that have them for themselves, where they are bounded.
 *
 * @param max the narrowest of the bounds.
 */
export function kindRows(worker: number, kinds: readonly KindCounts[], max: number): QueueRow[] {
  const nowMs = monotonicNowMs();
  return kinds.map(({ kind, used, idle, waiting }) => ({
    worker,
    workerPid: process.pid,
    what: "connections",
    backendId: kind.backendId,
    user: kind.user.slice(0, NAME_LENGTH_MAX),
    database: kind.database.slice(0, NAME_LENGTH_MAX),
    used,
    unused: idle,
    max,
    waiting: waiting.length,
    oldestWaitMs: Math.max(0, Math.round(nowMs - (waiting[0]?.sinceMs ?? nowMs))),
  }));
}

/** As PostgreSQL shortens names. */
const NAME_LENGTH_MAX = 63;
