/**
 * Why a server must not be routed to although nobody has detached it, and what a server that is
 * down has become meanwhile: a primary of its own, a standby of one, another database cluster.
 */
import type { ReplicationAnswer } from "../replication-delay/index.ts";
import type { ClusterState, ServerIdentity } from "../status/index.ts";

export interface ServerProblem {
  readonly kind: "second-primary" | "other-system" | "other-branch";
  /** For people; goes on behind `backend N`. */
  readonly text: string;
}

export type ProblemsByBackend = ReadonlyMap<number, ServerProblem>;

/**
 * Judges all servers that answered. While no primary is known (a failover runs) nothing is judged
 * anew: what was found before stays for those that still are as they were.
 *
 * @param cluster as it stood during the whole time in which the servers were asked.
 */
export function findProblems(
  cluster: Pick<ClusterState, "primaryId" | "identity">,
  answers: readonly ReplicationAnswer[],
  before: ProblemsByBackend,
): ProblemsByBackend {
  const { primaryId } = cluster;
  if (primaryId === null) return before;
  const primary = answers.find(({ id }) => id === primaryId);
  const ours = primaryIdentity(cluster.identity, primary);
  // What was found of a server stands until it says otherwise: silence is no proof.
  const silent = [...before].filter(
    ([id]) => id !== primaryId && !answers.some((answer) => answer.id === id),
  );
  const problems = new Map<number, ServerProblem>(silent);
  for (const answer of answers) {
    const isPrimary = answer.id === primaryId;
    const problem = isPrimary
      ? primaryProblem(answer, cluster.identity)
      : problemOf(answer, primaryId, ours);
    if (problem !== null) problems.set(answer.id, problem);
  }
  return problems;
}

/** Nothing is kept from it for that, because nobody else could take it; but people have to know. */
function primaryProblem(
  { isInRecovery, identity }: ReplicationAnswer,
  known: ServerIdentity | null,
): ServerProblem | null {
  if (isInRecovery || known === null || identity === null) return null;
  if (identity.systemIdentifier === known.systemIdentifier) return null;
  const ids = `system identifier ${identity.systemIdentifier}, not ${known.systemIdentifier}`;
  return { kind: "other-system", text: `is the primary, but was made anew (${ids})` };
}

/**
 * What the primary is now, when the whole cluster was made anew, as by pg_upgrade: all servers of
 * the configuration say the same, and none is left of what stands recorded. Null when that is
 * not so; then it may be that the primary alone has lost its data.
 */
export function renewedIdentity(
  { primaryId, identity: known }: Pick<ClusterState, "primaryId" | "identity">,
  answers: readonly ReplicationAnswer[],
  serverIds: readonly number[],
): ServerIdentity | null {
  const [primary, second] = answers.filter(({ isInRecovery }) => !isInRecovery);
  if (primary === undefined || second !== undefined) return null;
  const told = primaryId === null || primaryId === primary.id ? primary.identity : null;
  if (known === null || told === null) return null;
  if (told.systemIdentifier === known.systemIdentifier) return null;
  const isSame = serverIds.every((id) => {
    const answer = answers.find((one) => one.id === id);
    return answer?.identity?.systemIdentifier === told.systemIdentifier;
  });
  return isSame ? told : null;
}

/** The newest that is known: a primary may have been promoted again since it was found. */
function primaryIdentity(
  known: ServerIdentity | null,
  primary: ReplicationAnswer | undefined,
): ServerIdentity | null {
  const told = primary?.isInRecovery === false ? primary.identity : null;
  if (known === null || told === null) return known ?? told;
  return told.systemIdentifier === known.systemIdentifier && told.timeline > known.timeline
    ? told
    : known;
}

function problemOf(
  { isInRecovery, identity }: ReplicationAnswer,
  primaryId: number,
  ours: ServerIdentity | null,
): ServerProblem | null {
  if (ours !== null && identity !== null && identity.systemIdentifier !== ours.systemIdentifier) {
    const ids = `system identifier ${identity.systemIdentifier}, not ${ours.systemIdentifier}`;
    return { kind: "other-system", text: `is of another database cluster (${ids})` };
  }
  const timeline = identity?.timeline ?? null;
  const timelines =
    ours === null || timeline === null ? "" : ` (timeline ${timeline}, not ${ours.timeline})`;
  if (!isInRecovery) {
    const text = `is a primary of its own beside node ${primaryId}${timelines}`;
    return { kind: "second-primary", text };
  }
  if (ours === null || timeline === null || timeline <= ours.timeline) return null;
  return {
    kind: "other-branch",
    text: `follows another primary than node ${primaryId}${timelines}`,
  };
}
