/** Looking for the primary: after a failover for a bounded time, and whenever none is known. */
import { assert, type Ms } from "../../../base/index.ts";
import {
  findBackend,
  isLive,
  liveIds,
  plainEntry,
  withHistory,
  type ClusterState,
  type HistoryKind,
  type PrimaryChoice,
} from "../status/index.ts";
import type { ConductorEvent } from "./conductor-events.ts";
import type { ConductorState, Search, Turn } from "./conductor-state.ts";

/** The pause after the first look; each further one is twice as long. */
const FIRST_PAUSE_MS = 50;
const PAUSE_MS_MAX = 1000;

/**
 * Begins to look; an answer comes as `primary-found`.
 *
 * @param timeoutMs null: as search_primary_node_timeout says.
 */
export function beginSearch(turn: Turn, timeoutMs: Ms | null = null): void {
  const configuredMs = turn.state.settings.searchPrimaryTimeoutMs;
  const wholeMs = configuredMs === 0 ? Infinity : configuredMs;
  const endMs = turn.nowMs + (timeoutMs ?? wholeMs);
  const search: Search = {
    searchId: null,
    nextAtMs: turn.nowMs,
    deadlineMs: endMs === Infinity ? null : endMs,
    lookCount: 0,
  };
  turn.set({ search });
}

/**
 * Asks all live backends, if it is time.
 *
 * @returns the primary where the configuration already names it (ALWAYS_PRIMARY).
 */
export function look(turn: Turn, cluster: ClusterState): PrimaryChoice | null {
  const { search, settings } = turn.state;
  assert(search !== null, "a search was begun");
  if (search.searchId !== null || turn.nowMs < search.nextAtMs) return null;
  const among = liveIds(cluster);
  const fixed = settings.backends.find(
    ({ id, alwaysPrimary }) => alwaysPrimary && among.includes(id),
  );
  if (fixed !== undefined) {
    turn.log(`find_primary_node: ALWAYS_PRIMARY flag found. Returns node id: ${fixed.id}`);
    return { primaryId: fixed.id, identity: null };
  }
  const searchId = turn.takeId();
  const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(search.lookCount, 10), PAUSE_MS_MAX);
  // Once more just when the time is over.
  const endMs = search.deadlineMs ?? Infinity;
  const nextAtMs = Math.min(turn.nowMs + pauseMs, turn.nowMs < endMs ? endMs : Infinity);
  turn.set({ search: { ...search, searchId, nextAtMs } });
  turn.act({ type: "search-primary", searchId, among, known: cluster.identity });
  return null;
}

export function onPrimaryFound(
  turn: Turn,
  event: Extract<ConductorEvent, { readonly type: "primary-found" }>,
): void {
  const { search, cluster, task } = turn.state;
  if (search === null || search.searchId !== event.searchId || cluster === null) return;
  turn.set({ search: { ...search, searchId: null, lookCount: search.lookCount + 1 } });
  const found = event.primaryId === null ? null : findBackend(cluster, event.primaryId);
  // It may have been detached between the question and the answer.
  if (found === null || !isLive(found)) return;
  turn.log(`find_primary_node: primary node is ${found.id}`);
  const choice = { primaryId: found.id, identity: event.identity };
  if (task?.stage === "probing") {
    turn.log("failover_command is not run again: the primary has been replaced already");
  }
  if (task === null) return proposePrimary(turn, cluster, choice);
  turn.note(`node ${found.id} is the primary`);
  turn.set({
    search: null,
    task: { ...(turn.state.task ?? task), found: choice, stage: "finishing" },
  });
}

/** No failover runs and no primary is known: look on until there is one. */
export function advanceIdleSearch(turn: Turn, cluster: ClusterState): boolean {
  const isNeeded = cluster.primaryId === null && liveIds(cluster).length > 0;
  if (!isNeeded || !turn.state.settings.isStreaming) {
    turn.set({ search: null });
    return false;
  }
  if (turn.state.search === null) {
    beginSearch(turn);
    turn.log("find_primary_node_repeatedly: waiting for finding a primary node");
    return true;
  }
  const known = look(turn, cluster);
  if (known === null) return false;
  proposePrimary(turn, cluster, known);
  return true;
}

/** Null when nothing is looked for, or an answer is awaited. */
export function searchWakeAtMs({ search, task }: ConductorState): Ms | null {
  if (search === null || search.searchId !== null) return null;
  // Only the search of a failover ends; the other goes on, though a start-up is over then.
  const endsAtMs = task === null ? null : search.deadlineMs;
  return endsAtMs === null ? search.nextAtMs : Math.min(search.nextAtMs, endsAtMs);
}

/**
 * No primary has ever been found, and the time to find one is not over: backends that do not
 * answer are still starting, rather than lost.
 */
export function isStartupSearch(turn: Turn): boolean {
  const { cluster, search, settings } = turn.state;
  if (!settings.isStreaming) return false;
  if (cluster === null) return true;
  if (cluster.primaryId !== null || cluster.intent !== null) return false;
  // Whatever was done to a server or found of a primary.
  if (cluster.history.some(({ kind }) => !HARMLESS_KINDS.has(kind))) return false;
  return search === null || search.deadlineMs === null || turn.nowMs < search.deadlineMs;
}

const HARMLESS_KINDS: ReadonlySet<HistoryKind> = new Set([
  "configured",
  "maintenance-on",
  "maintenance-off",
  "recover",
  "quarantine",
  "release",
]);

function proposePrimary(turn: Turn, cluster: ClusterState, choice: PrimaryChoice): void {
  const { primaryId } = choice;
  const epoch = cluster.epoch + 1;
  const identity = choice.identity ?? cluster.identity;
  const reason = `node ${primaryId} says that it is the primary`;
  const found = {
    kind: "primary",
    reason,
    backendIds: [primaryId],
    newPrimaryId: primaryId,
  } as const;
  const entry = plainEntry({ ...turn.eventAt(epoch), ...found });
  turn.propose("primary", withHistory({ ...cluster, epoch, primaryId, identity }, entry));
}
