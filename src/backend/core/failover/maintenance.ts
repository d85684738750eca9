/** Maintenance: while it is on, nothing is done to a backend unless a person asks for it. */
import type { ClusterRequest } from "../../../wire/ipc/index.ts";
import { BY_MAX, plainEntry, REASON_MAX, withHistory, type ClusterState } from "../status/index.ts";
import { HELD_BACK_MAX, type Turn } from "./conductor-state.ts";

/** A backend that stays lost asks again and again; so often it is said. */
export const SAY_AGAIN_AFTER_MS = 60_000;

/** Proposes that maintenance begins or ends. False: there is nothing to change. */
export function proposeMaintenance(
  turn: Turn,
  cluster: ClusterState,
  request: ClusterRequest,
): boolean {
  const isOn = request.kind === "maintenance-on";
  const before = cluster.maintenance;
  if (!isOn && before === null) {
    turn.log("maintenance is off already");
    return false;
  }
  const by = (request.by ?? "").slice(0, BY_MAX);
  const reason = request.reason.slice(0, REASON_MAX);
  const maintenance = isOn ? { since: before?.since ?? turn.wallMs, by, reason } : null;
  const epoch = cluster.epoch + 1;
  const entry = plainEntry({ ...turn.eventAt(epoch), kind: request.kind, reason, by });
  turn.propose("maintenance", withHistory({ ...cluster, epoch, maintenance }, entry));
  return true;
}

/** Keeps back what no person asked for, and says what would have been done. */
export function isHeldBack(turn: Turn, cluster: ClusterState, request: ClusterRequest): boolean {
  const { maintenance } = cluster;
  const isAutomatic = request.isAutomatic ?? !request.confirmed;
  if (maintenance === null || !isAutomatic) return false;
  const { kind, backendIds, reason } = request;
  const what = `${kind} node ${backendIds.join(", ")}`;
  const { heldBack } = turn.state;
  const saidAtMs = heldBack.get(what);
  if (saidAtMs !== undefined && turn.nowMs - saidAtMs < SAY_AGAIN_AFTER_MS) return true;
  const others = [...heldBack].filter(([key]) => key !== what).slice(1 - HELD_BACK_MAX);
  turn.set({ heldBack: new Map([...others, [what, turn.nowMs]]) });
  const seconds = Math.max(0, Math.round((turn.wallMs - maintenance.since) / 1000));
  const why = maintenance.reason === "" ? "" : `: ${maintenance.reason}`;
  turn.log(
    `would ${what}, but maintenance has been on for ${seconds} s`,
    "warning",
    `${reason}; maintenance was begun by ${maintenance.by}${why}`,
  );
  return true;
}
