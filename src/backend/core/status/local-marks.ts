/**
 * What one node adds for itself to the state that all agree on: its quarantined backends, and
 * which waiting ones a client of its has reached.
 */
import type { BackendRole, BackendView, ClusterView } from "../../../wire/ipc/index.ts";
import type { BackendConfig } from "../../../config/index.ts";
import { liveIds, type BackendStatus, type ClusterState } from "./cluster-state.ts";

export interface LocalMarks {
  /** Down for this node alone: the cluster could not agree on a failover. */
  readonly quarantinedIds: ReadonlySet<number>;
  /** Backends reached since they were attached: id to `changedAt` of that time. */
  readonly reached: ReadonlyMap<number, number>;
}

export const NO_MARKS: LocalMarks = { quarantinedIds: new Set(), reached: new Map() };

/**
 * The state as this node acts on it. A quarantined primary is nobody's primary.
 *
 * Source: Pgpool-II turns `waiting` into `up` when a child process connects.
 */
export function withMarks(state: ClusterState, marks: LocalMarks): ClusterState {
  const backends = state.backends.map((backend): BackendStatus => {
    if (backend.state === "down") return backend;
    if (marks.quarantinedIds.has(backend.id)) {
      return { ...backend, state: "down", quarantined: true };
    }
    const isReached = marks.reached.get(backend.id) === backend.changedAt;
    return isReached && backend.state === "waiting" ? { ...backend, state: "up" } : backend;
  });
  const { primaryId } = state;
  const isPrimaryLost = primaryId !== null && marks.quarantinedIds.has(primaryId);
  return { ...state, backends, primaryId: isPrimaryLost ? null : primaryId };
}

/** What was seen of a server by the checks of this node. */
export type BackendSeen = Pick<
  BackendView,
  | "pgStatus"
  | "pgRole"
  | "replicationDelayBytes"
  | "replicationDelayMs"
  | "replicationState"
  | "replicationSyncState"
  | "timeline"
  | "systemIdentifier"
  | "walLsn"
  | "receivedLsn"
  | "problem"
>;

export const NOTHING_SEEN: BackendSeen = {
  pgStatus: "unknown",
  pgRole: "unknown",
  replicationDelayBytes: 0,
  replicationDelayMs: 0,
  replicationState: "",
  replicationSyncState: "",
  timeline: null,
  systemIdentifier: null,
  walLsn: null,
  receivedLsn: null,
  problem: null,
};

/** The view that workers and the administrator get. */
export function makeClusterView(facts: {
  readonly state: ClusterState;
  /** Of the committed state; 0 for one that was never committed. */
  readonly index: number;
  readonly marks: LocalMarks;
  /** Those of the configuration, by ascending id. */
  readonly backends: readonly BackendConfig[];
  readonly seen: ReadonlyMap<number, BackendSeen>;
  /** By replication_delay_source_cmd, in milliseconds; null: `seen` counts. */
  readonly toldDelays: ReadonlyMap<number, number> | null;
  readonly selectCounts: ReadonlyMap<number, number>;
  readonly refusal: string | null;
  /** One server is the primary and says so; in the other modes it is the live one of the lowest id. */
  readonly isStreaming: boolean;
  readonly delayIsTime: boolean;
}): ClusterView {
  const { index, refusal, isStreaming, delayIsTime } = facts;
  const state = withMarks(facts.state, facts.marks);
  const { epoch, primaryEpoch, intent, backends: statuses } = state;
  const primaryId = state.primaryId ?? (isStreaming ? null : (liveIds(state)[0] ?? null));
  const weightSum = facts.backends.reduce((sum, { weight }) => sum + weight, 0);
  const backends = facts.backends.map((backend): BackendView => {
    const status = statuses.find(({ id }) => id === backend.id);
    const seen = facts.seen.get(backend.id) ?? NOTHING_SEEN;
    const told = backend.id === primaryId ? undefined : facts.toldDelays?.get(backend.id);
    const streaming = told === undefined ? seen : { ...seen, replicationDelayMs: told };
    return {
      id: backend.id,
      hostname: backend.hostname,
      port: backend.port,
      weight: weightSum > 0 ? backend.weight / weightSum : 0,
      state: status?.state ?? "waiting",
      quarantined: status?.quarantined ?? false,
      stateChangedAt: status?.changedAt ?? 0,
      stateReason: status?.reason ?? "",
      ...(isStreaming
        ? streaming
        : notCompared(seen, backend.id === primaryId ? "main" : "replica")),
      // It may have become the primary since it was looked at.
      problem: isStreaming && backend.id !== primaryId ? seen.problem : null,
      selectCount: facts.selectCounts.get(backend.id) ?? 0,
    };
  });
  // In the beginning of a switchover transactions still end on the old primary.
  const isDraining = intent?.switchover?.phase === "draining";
  const awaitsPrimary = intent?.primaryChanges === true && !isDraining;
  const drainingId = intent?.kind === "switchover" ? intent.oldPrimaryId : null;
  const { maintenance } = state;
  const view = { index, epoch, primaryId, primaryEpoch, awaitsPrimary, drainingId, refusal };
  return { ...view, isStreaming, delayIsTime, backends, maintenance };
}

/** What does not stream is as far as it is, and is what the configuration makes it. */
function notCompared({ pgStatus }: BackendSeen, role: BackendRole): BackendSeen {
  return { ...NOTHING_SEEN, pgStatus, pgRole: pgStatus === "up" ? role : "unknown" };
}
