/**
 * `detach_false_primary`: which server that calls itself a primary is to be detached.
 *
 * The primary is the one that stands in the committed state and answers as one now; it is never
 * detached here. What is left to decide is whether another that says the same may be called false:
 *
 *     of another database cluster ......................................... yes
 *     nobody follows it ................................................... yes
 *     who follows it did so when it was a standby itself (a cascade) ...... yes
 *     standbys follow both ................................................ yes
 *     standbys have gone over to it, and none follows the primary ......... no: somebody moved them
 *
 * Different from Pgpool-II, which takes the one whom all standbys follow for the true one: there a
 * cascading or stopped standby switches the feature off, and a primary that takes writes can be
 * detached.
 */
import type { ReplicationAnswer } from "../replication-delay/index.ts";
import { isLive, liveIds, type ClusterState } from "../status/index.ts";
import type { ProblemsByBackend } from "./server-problems.ts";
import { findUpstreams, followersOf, isReceiverHidden, type ServerPlace } from "./upstreams.ts";

export interface PrimaryWatch {
  /** Of which server a standby was a follower while that was a standby itself, by its id. */
  readonly cascades: ReadonlyMap<number, number>;
  /** Found false by the look before: two looks must agree. */
  readonly suspectIds: ReadonlySet<number>;
}

export const NOTHING_SUSPECTED: PrimaryWatch = { cascades: new Map(), suspectIds: new Set() };

export interface PrimaryLook {
  /** As it stood during the whole look. */
  readonly cluster: ClusterState;
  readonly answers: readonly ReplicationAnswer[];
  readonly problems: ProblemsByBackend;
  readonly servers: readonly (ServerPlace & { readonly alwaysPrimary: boolean })[];
}

export interface PrimaryVerdict {
  readonly watch: PrimaryWatch;
  /** To be detached now, with the reason. */
  readonly falseOnes: readonly { readonly id: number; readonly reason: string }[];
  /** Suspected for the first time: look again soon. */
  readonly isLookDue: boolean;
  /** Second primaries about which nothing can be decided, and why. */
  readonly undecided: readonly { readonly id: number; readonly reason: string }[];
}

/** Judges one look. A look during a failover, or without an answer of the primary, decides nothing. */
export function judgePrimaries(watch: PrimaryWatch, look: PrimaryLook): PrimaryVerdict {
  const { cluster, answers, problems, servers } = look;
  const { primaryId } = cluster;
  const upstreams = findUpstreams(answers, servers);
  const cascades = rememberCascades(watch.cascades, upstreams, answers);
  const idle = { watch: { cascades, suspectIds: NOBODY }, falseOnes: [], isLookDue: false };
  const primary = answers.find(({ id }) => id === primaryId);
  const isUsable = primary?.isInRecovery === false && isPrimaryOurs(cluster, primary);
  if (primaryId === null || !isUsable || cluster.intent !== null || cluster.follow !== null) {
    return { ...idle, undecided: [] };
  }
  const suspects: { id: number; reason: string }[] = [];
  const undecided: { id: number; reason: string }[] = [];
  for (const { id, isInRecovery } of answers) {
    const problem = problems.get(id);
    const isDown = !cluster.backends.some((backend) => backend.id === id && isLive(backend));
    const isFixed = servers.some((server) => server.id === id && server.alwaysPrimary);
    if (problem === undefined || isInRecovery || isDown || isFixed || id === primaryId) continue;
    const doubt =
      problem.kind === "other-system"
        ? null
        : doubtAbout(id, primaryId, { upstreams, cascades, answers });
    if (doubt === null) suspects.push({ id, reason: `detach_false_primary: it ${problem.text}` });
    else undecided.push({ id, reason: doubt });
  }
  // The primary is live, so these are never the last; the rule stands for itself all the same.
  const spare = Math.max(0, liveIds(cluster).length - 1);
  const falseOnes = suspects.filter(({ id }) => watch.suspectIds.has(id)).slice(0, spare);
  const suspectIds = new Set(suspects.map(({ id }) => id));
  const isLookDue = suspects.some(({ id }) => !watch.suspectIds.has(id));
  return { watch: { cascades, suspectIds }, falseOnes, isLookDue, undecided };
}

const NOBODY: ReadonlySet<number> = new Set();

function isPrimaryOurs({ identity }: ClusterState, primary: ReplicationAnswer): boolean {
  if (identity === null || primary.identity === null) return true;
  return primary.identity.systemIdentifier === identity.systemIdentifier;
}

/** What a standby says is remembered while its source is a standby, and forgotten when it moves on. */
function rememberCascades(
  before: ReadonlyMap<number, number>,
  upstreams: ReadonlyMap<number, number>,
  answers: readonly ReplicationAnswer[],
): ReadonlyMap<number, number> {
  const cascades = new Map(before);
  for (const [standby, upstream] of upstreams) {
    const isCascade = answers.some(({ id, isInRecovery }) => id === upstream && isInRecovery);
    if (isCascade) cascades.set(standby, upstream);
    else if (cascades.get(standby) !== upstream) cascades.delete(standby);
  }
  return cascades;
}

/** Why it may be the true one after all; null when nothing speaks for it. */
function doubtAbout(
  id: number,
  primaryId: number,
  known: {
    readonly upstreams: ReadonlyMap<number, number>;
    readonly cascades: ReadonlyMap<number, number>;
    readonly answers: readonly ReplicationAnswer[];
  },
): string | null {
  const { upstreams, cascades, answers } = known;
  if (followersOf(primaryId, upstreams).size > 0) return null;
  const hidden = answers.filter((answer) => answer.id !== id && isReceiverHidden(answer));
  if (hidden.length > 0) {
    return "sr_check_user may not see whom the standbys follow: grant it pg_monitor";
  }
  const cameOver = [...upstreams]
    .filter(([standby, upstream]) => upstream === id && cascades.get(standby) !== id)
    .map(([standby]) => standby);
  if (cameOver.length === 0) return null;
  return `node ${cameOver.join(", ")} follows it, and no standby follows node ${primaryId}`;
}
