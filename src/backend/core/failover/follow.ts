/** `follow_primary_command`: after a new primary was found, one server after another. */
import {
  findBackend,
  hasFailed,
  withBackends,
  withLateCommand,
  type BackendStatus,
  type ClusterState,
  type Follow,
} from "../status/index.ts";
import type { Turn } from "./conductor-state.ts";
import { startCommand } from "./run-command.ts";
import { followStartingText } from "./wording.ts";

/** One move for the servers that have to follow a new primary. */
export function advanceFollow(turn: Turn, cluster: ClusterState, follow: Follow): boolean {
  const { settings, follow: run, runningIds } = turn.state;
  if (run !== null && run.record === null) return false;
  if (run !== null && run.record !== null) {
    const remainingIds = follow.remainingIds.filter((id) => id !== run.backendId);
    const rest = remainingIds.length === 0 ? null : { ...follow, remainingIds };
    const lost = follow.isSwitchover && hasFailed(run.record) ? [run.backendId] : [];
    const reason = "follow_primary_command has failed for it";
    turn.propose("follow", {
      ...withBackends(withLateCommand(cluster, follow.eventId, run.record), lost, {
        state: "down",
        reason,
        changedAt: turn.wallMs,
      }),
      follow: rest,
    });
    return true;
  }
  if (runningIds.length > 0) return false;
  const { primaryId } = cluster;
  // Those that are live although they have to follow are attached already, as far as that goes.
  const isDue = ({ id, state }: BackendStatus): boolean =>
    id !== primaryId && (state === "down" || follow.isSwitchover);
  const backendId = follow.remainingIds.find((id) => {
    const backend = findBackend(cluster, id);
    return backend !== null && isDue(backend);
  });
  if (backendId === undefined || settings.followPrimaryCommand === "" || primaryId === null) {
    turn.propose("follow", { ...cluster, follow: null });
    return true;
  }
  // That of the leader before us may not have ended yet: it has when nobody is left behind.
  const { index, settledIndex } = turn.state;
  if (index === null || settledIndex < index) return false;
  turn.log(followStartingText(settings, backendId));
  const started = startCommand(turn, {
    kind: "follow-primary",
    template: settings.followPrimaryCommand,
    backendId,
    event: follow,
    newMainId: primaryId,
    attempt: 1,
    ...(follow.isSwitchover && backendId === follow.oldPrimaryId
      ? { env: { PGQUORUM_FOLLOW_STOPPED: "on" as const } }
      : {}),
  });
  turn.set({ follow: { ...started, backendId, isStopping: false, record: null } });
  return false;
}

/** Ends the command that runs; true when its end has been reported. */
export function stopFollow(turn: Turn): boolean {
  const { follow, runningIds } = turn.state;
  if (follow === null) return true;
  if (!runningIds.includes(follow.commandId)) {
    turn.set({ follow: null });
    return true;
  }
  if (!follow.isStopping) {
    turn.act({ type: "stop-command", commandId: follow.commandId, how: "ask" });
    turn.set({ follow: { ...follow, isStopping: true } });
  }
  return false;
}
