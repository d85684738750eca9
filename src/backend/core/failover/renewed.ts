/** All servers were made anew, as by pg_upgrade: what was known of them is of no use any more. */
import { plainEntry, withHistory, type ClusterState } from "../status/index.ts";
import type { Turn } from "./conductor-state.ts";

/** False: what the servers are is what stands recorded. */
export function proposeRenewed(turn: Turn, cluster: ClusterState): boolean {
  const { renewed } = turn.state;
  if (renewed === null) return false;
  turn.set({ renewed: null });
  const { primaryId, identity } = renewed;
  if (primaryId !== cluster.primaryId || cluster.identity === null) return false;
  if (identity.systemIdentifier === cluster.identity.systemIdentifier) return false;
  const epoch = cluster.epoch + 1;
  const was = cluster.identity.systemIdentifier;
  const reason = `all servers were made anew: system identifier ${identity.systemIdentifier}, not ${was}`;
  turn.log(reason, "warning", "It is recorded as that of the cluster from now on.");
  const entry = plainEntry({
    ...turn.eventAt(epoch),
    kind: "primary",
    reason,
    backendIds: primaryId === null ? [] : [primaryId],
    oldPrimaryId: primaryId,
    newPrimaryId: primaryId,
  });
  turn.propose("renewed", withHistory({ ...cluster, epoch, identity }, entry));
  return true;
}
