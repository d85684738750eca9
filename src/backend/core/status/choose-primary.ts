/** Which of the servers that answered is the primary. */
import type { ServerIdentity } from "./cluster-state.ts";

/** What a server said when it was asked; servers that gave no answer are left out. */
export interface RoleAnswer {
  readonly id: number;
  readonly isInRecovery: boolean;
  /** Null when the user that asks may not know. */
  readonly identity: ServerIdentity | null;
}

export interface PrimaryChoice {
  readonly primaryId: number;
  readonly identity: ServerIdentity | null;
}

/**
 * A server of another system identifier, or on an older timeline than a primary we have seen,
 * is no primary of this cluster, whatever it says. Among several the newest timeline wins.
 *
 * Source: with equal timelines as Pgpool-II (4.7 manual, `detach_false_primary` off): the last
 * by id, or the first when there is no standby at all.
 */
export function choosePrimary(
  answers: readonly RoleAnswer[],
  known: ServerIdentity | null,
): PrimaryChoice | null {
  const byId = answers.toSorted((one, other) => one.id - other.id);
  const ours = byId.filter(({ isInRecovery, identity }) => {
    if (isInRecovery) return false;
    return known === null || identity === null || belongsTo(known, identity);
  });
  const timelineMax = Math.max(...ours.map(({ identity }) => identity?.timeline ?? 0));
  const newest = ours.filter(({ identity }) => (identity?.timeline ?? 0) === timelineMax);
  const hasStandby = byId.some(({ isInRecovery }) => isInRecovery);
  const chosen = hasStandby ? newest.at(-1) : newest[0];
  return chosen === undefined ? null : { primaryId: chosen.id, identity: chosen.identity };
}

function belongsTo(known: ServerIdentity, identity: ServerIdentity): boolean {
  return (
    identity.systemIdentifier === known.systemIdentifier && identity.timeline >= known.timeline
  );
}
