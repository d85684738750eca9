/**
 * What is known to all of the backends that single nodes keep away from: a node tells the leader
 * that it does so, again and again, and what it no longer tells expires. Nobody but that node acts
 * on it.
 */
import type { Ms } from "../../../base/index.ts";
import type { ClusterRequest } from "../../../wire/ipc/index.ts";
import { QUARANTINE_MS } from "../health/index.ts";
import {
  findBackend,
  isLive,
  plainEntry,
  QUARANTINES_MAX,
  REASON_MAX,
  withHistory,
  type ClusterState,
  type Quarantine,
} from "../status/index.ts";
import type { ConductorState, QuarantineNews, Turn } from "./conductor-state.ts";

/** @param nodeId who says so; null where nobody else is there to be told. */
export function noteQuarantine(turn: Turn, request: ClusterRequest, nodeId: number | null): void {
  const { leads, quarantineNews } = turn.state;
  if (!leads || nodeId === null) return;
  const reason = request.kind === "release" ? null : request.reason.slice(0, REASON_MAX);
  const news = request.backendIds.map((backendId) => ({ nodeId, backendId, reason }));
  const others = quarantineNews.filter((one) => !news.some((other) => isSame(one, other)));
  turn.set({ quarantineNews: [...others, ...news].slice(-QUARANTINES_MAX) });
}

/** False: what stands committed is true still. */
export function proposeQuarantines(turn: Turn, cluster: ClusterState): boolean {
  const { quarantineNews } = turn.state;
  const kept = cluster.quarantines.filter(
    (one) =>
      one.expiresAt > turn.wallMs &&
      !isLost(cluster, one.backendId) &&
      !quarantineNews.some((news) => isSame(one, news)),
  );
  const told = quarantineNews.flatMap((news) => quarantineOf(turn, cluster, news));
  if (told.length === 0 && kept.length === cluster.quarantines.length) {
    if (quarantineNews.length > 0) turn.set({ quarantineNews: [] });
    return false;
  }
  const quarantines = [...kept, ...told].slice(-QUARANTINES_MAX);
  turn.set({ quarantineSent: quarantineNews });
  const begun = told.find((one) => !cluster.quarantines.some((other) => isSame(one, other)));
  if (begun === undefined) {
    turn.propose("quarantine", { ...cluster, quarantines });
    return true;
  }
  const epoch = cluster.epoch + 1;
  const entry = plainEntry({
    ...turn.eventAt(epoch),
    kind: "quarantine",
    backendIds: [begun.backendId],
    reason: begun.reason,
    by: `watchdog node ${begun.nodeId}`,
  });
  turn.propose("quarantine", withHistory({ ...cluster, epoch, quarantines }, entry));
  return true;
}

/** What came in since then waits for the next proposal. */
export function forgetCommittedNews(turn: Turn): void {
  const { quarantineNews, quarantineSent } = turn.state;
  const left = quarantineNews.filter((news) => !quarantineSent.includes(news));
  turn.set({ quarantineNews: left, quarantineSent: [] });
}

/** When the next one expires, unless something else is done first. */
export function quarantinesWakeAtMs({ cluster, wallOffsetMs }: ConductorState): Ms | null {
  if (cluster === null || cluster.intent !== null || cluster.quarantines.length === 0) return null;
  return Math.min(...cluster.quarantines.map(({ expiresAt }) => expiresAt)) - wallOffsetMs;
}

function quarantineOf(turn: Turn, cluster: ClusterState, news: QuarantineNews): Quarantine[] {
  const { nodeId, backendId, reason } = news;
  if (reason === null || isLost(cluster, backendId)) return [];
  const before = cluster.quarantines.find((one) => isSame(one, news));
  const since = before?.since ?? turn.wallMs;
  return [{ nodeId, backendId, reason, since, expiresAt: turn.wallMs + QUARANTINE_MS }];
}

/** What all have given up needs nobody's quarantine. */
function isLost(cluster: ClusterState, backendId: number): boolean {
  const backend = findBackend(cluster, backendId);
  return backend === null || !isLive(backend);
}

function isSame(
  one: Pick<Quarantine, "nodeId" | "backendId">,
  other: Pick<Quarantine, "nodeId" | "backendId">,
): boolean {
  return one.nodeId === other.nodeId && one.backendId === other.backendId;
}
