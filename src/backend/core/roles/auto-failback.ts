/** `auto_failback`: which servers that are down may be attached again without being asked for. */
import type { ReplicationAnswer } from "../replication-delay/index.ts";
import { isLive, type ClusterState } from "../status/index.ts";
import type { ProblemsByBackend } from "./server-problems.ts";
import { findUpstreams, type ServerPlace } from "./upstreams.ts";

export interface FailbackLook {
  /** As it stood during the whole look. */
  readonly cluster: ClusterState;
  readonly answers: readonly ReplicationAnswer[];
  readonly problems: ProblemsByBackend;
  readonly servers: readonly ServerPlace[];
  /** `auto_failback_interval`. */
  readonly intervalMs: number;
  /** Now; milliseconds since 1970, as in the history. */
  readonly wallMs: number;
}

/** Begins the reason of such an attachment, and so finds it in the history. */
export const AUTO_FAILBACK = "auto_failback";

/**
 * The servers that are down, have let us log in, are standbys of ours, and to which the primary
 * streams. A server that was attached so less than the interval ago waits.
 *
 * Source: Pgpool-II 4.7 manual, auto_failback. Different: where no `backend_application_nameN` is
 * given, the standby's own word about its receiver is enough; and the interval is the cluster's, not
 * each process's.
 */
export function planFailbacks(look: FailbackLook): readonly number[] {
  const { cluster, answers, problems, servers } = look;
  const { primaryId } = cluster;
  if (primaryId === null || cluster.intent !== null) return [];
  const primary = answers.find(({ id }) => id === primaryId);
  if (primary === undefined || primary.isInRecovery) return [];
  const upstreams = findUpstreams(answers, servers);
  return answers
    .filter(({ id, isInRecovery }) => {
      const backend = cluster.backends.find((one) => one.id === id);
      const isDown = backend !== undefined && !isLive(backend);
      if (!isDown || !isInRecovery || problems.has(id)) return false;
      // The command that makes it a follower attaches it when it is done.
      if (cluster.follow?.remainingIds.includes(id) === true) return false;
      // So does its online recovery.
      if (cluster.recovery?.backendId === id) return false;
      return isStreamedTo(id, primary, servers, upstreams) && !isTooSoon(id, look);
    })
    .map(({ id }) => id);
}

function isStreamedTo(
  id: number,
  primary: ReplicationAnswer,
  servers: readonly ServerPlace[],
  upstreams: ReadonlyMap<number, number>,
): boolean {
  const name = servers.find((server) => server.id === id)?.applicationName ?? "";
  if (name === "") return upstreams.get(id) === primary.id;
  return primary.senders.some(
    ({ applicationName, state }) => applicationName === name && state === "streaming",
  );
}

function isTooSoon(id: number, { cluster, intervalMs, wallMs }: FailbackLook): boolean {
  return cluster.history.some(
    ({ kind, backendIds, reason, endedAt }) =>
      kind === "attach" &&
      backendIds.includes(id) &&
      reason.startsWith(AUTO_FAILBACK) &&
      wallMs - endedAt < intervalMs,
  );
}
