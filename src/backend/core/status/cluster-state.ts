/**
 * What the cluster agrees on about its backends. The watchdogs replicate it as plain JSON; only
 * the leader proposes a new value, and every value stands behind the one before:
 *
 *     up ──detach──> down ──attach──> waiting ──a client connects──> up (shown by each node for itself)
 *
 * A failover is first recorded here as an `Intent`, then carried out, then cleared, so that a
 * leader that dies on the way leaves its successor the knowledge of what was under way.
 */
import type {
  ClusterRequest,
  Maintenance,
  Recovery,
  RequestKind,
} from "../../../wire/ipc/index.ts";
import {
  REASON_MAX,
  type CommandRecord,
  type HistoryEntry,
  type StepRecord,
  type VoteRecord,
} from "./history.ts";
import type { SynchronousSet } from "./synchronous-set.ts";

export interface ClusterState {
  /** Of this layout: a node that knows only an older one must not guess. */
  readonly format: 1;
  /** Unique to the proposal; by it a leader knows its own value when it comes back committed. */
  readonly stamp: string;
  /** Grows by one with every change of a backend's state or of the primary. */
  readonly epoch: number;
  /** By ascending id. */
  readonly backends: readonly BackendStatus[];
  readonly primaryId: number | null;
  /** In which a server became the primary, or none was any more. */
  readonly primaryEpoch: number;
  /** Of the last primary that was found: a server of another history is never taken for it. */
  readonly identity: ServerIdentity | null;
  /** The failover, failback or promotion that runs. */
  readonly intent: Intent | null;
  /** The `follow_primary_command` runs that are still due. */
  readonly follow: Follow | null;
  /** While it is on, nothing is done to a backend unless a person asks. */
  readonly maintenance: Maintenance | null;
  /** Backends that single nodes keep away from, at most `QUARANTINES_MAX`. */
  readonly quarantines: readonly Quarantine[];
  /** The online recovery that the leader runs. */
  readonly recovery: Recovery | null;
  /** Published by the leader; null where replication is asynchronous, or was never looked at. */
  readonly synchronous: SynchronousSet | null;
  /** What was done, the newest last, at most `HISTORY_MAX`. */
  readonly history: readonly HistoryEntry[];
}

export interface BackendStatus {
  readonly id: number;
  readonly state: "waiting" | "up" | "down";
  /** Never set in what is replicated: a node marks it for itself (see `local-marks.ts`). */
  readonly quarantined: boolean;
  /** Why it is in this state, for people. */
  readonly reason: string;
  /** Wall clock, milliseconds since 1970. */
  readonly changedAt: number;
}

/** One node does not reach a backend that the others have not given up. Only that node acts on it. */
export interface Quarantine {
  readonly nodeId: number;
  readonly backendId: number;
  readonly reason: string;
  /** Wall clock of the leader, milliseconds since 1970, as is the other. */
  readonly since: number;
  /** Unless the node confirms it before. */
  readonly expiresAt: number;
}

export const QUARANTINES_MAX = 32;

export interface ServerIdentity {
  readonly systemIdentifier: string;
  readonly timeline: number;
}

/** The kinds of requests that take time, so that they are first recorded. */
export type IntentKind = Extract<RequestKind, "detach" | "attach" | "promote" | "switchover">;

export interface Intent {
  /**
   * Scripts see it as PGQUORUM_EPOCH. It grows with every leader that takes the intent over and
   * with every repetition of a command that failed: none is run twice in an epoch.
   */
  readonly epoch: number;
  /** That of the state which brought the intent. */
  readonly firstEpoch: number;
  /** Unique over all leaders; scripts see it as PGQUORUM_EVENT_ID. */
  readonly eventId: string;
  readonly kind: IntentKind;
  readonly backendIds: readonly number[];
  readonly reason: string;
  /** Who asked for it; empty when no person did. */
  readonly by: string;
  readonly oldPrimaryId: number | null;
  readonly oldMainId: number | null;
  /** `%m`: the server that should take over. */
  readonly newMainId: number | null;
  /** How `newMainId` was chosen, where it was by more than its number; it stays as it is then. */
  readonly choice: CandidateChoice | null;
  /** The primary has to be looked for (or, in a promotion, is `newMainId`). */
  readonly primaryChanges: boolean;
  readonly startedAt: number;
  readonly votes: readonly VoteRecord[];
  readonly progress: Progress;
  /** Of a switchover; null of all other kinds. */
  readonly switchover: SwitchoverState | null;
}

export interface SwitchoverState {
  /**
   * `draining`: the old primary takes nothing new, nothing else was done. `stopped`: it is shut
   * down, and whoever has replayed up to `shutdownLsn` may be promoted. `undoing`: nobody may; the
   * old primary is started again.
   */
  readonly phase: "draining" | "stopped" | "undoing";
  /** Where its last checkpoint begins; null before it was stopped. */
  readonly shutdownLsn: string | null;
  readonly drainTimeoutMs: number;
  readonly onTimeout: "abort" | "cancel";
  /** Why it is undone; empty while it is not. */
  readonly problem: string;
}

export interface CandidateChoice {
  /** `asked`: a person named it; `lsn`: the most advanced. */
  readonly by: "asked" | "lsn";
  /** Why it may lack commits that were promised to be on a standby; empty when none can be missing. */
  readonly doubt: string;
}

/** What has been done for an intent; a successor goes on from there. */
export interface Progress {
  /** How many of the intent's backends need no command any more. */
  readonly doneCount: number;
  /** How often a command of its current backend was run again because it had failed. */
  readonly retryCount: number;
  readonly steps: readonly StepRecord[];
  readonly commands: readonly CommandRecord[];
}

export const NO_PROGRESS: Progress = { doneCount: 0, retryCount: 0, steps: [], commands: [] };

export interface Follow {
  readonly epoch: number;
  readonly eventId: string;
  readonly oldPrimaryId: number | null;
  readonly oldMainId: number | null;
  readonly remainingIds: readonly number[];
  /** The old primary was stopped on purpose: it is to be started again as a standby. */
  readonly isSwitchover: boolean;
}

/** As many as `backend_hostname` may be numbered. */
export const BACKENDS_MAX = 128;

/** A cluster in which nothing has happened yet: all `waiting` but those that were left down. */
export function firstClusterState(
  backendIds: readonly number[],
  downIds: ReadonlySet<number>,
  atWallMs: number,
): ClusterState {
  const backends = backendIds.map((id): BackendStatus => ({
    id,
    state: downIds.has(id) ? "down" : "waiting",
    quarantined: false,
    reason: downIds.has(id) ? "down in pgpool_status" : "start",
    changedAt: atWallMs,
  }));
  return {
    format: 1,
    stamp: "",
    epoch: 1,
    backends,
    primaryId: null,
    primaryEpoch: 1,
    identity: null,
    intent: null,
    follow: null,
    maintenance: null,
    quarantines: [],
    recovery: null,
    synchronous: null,
    history: [],
  };
}

/**
 * The state that comes after another, with the epoch of its primary: as long as that stays, the
 * primary is the same server, and was it all the time. While one is replaced there is none.
 */
export function withPrimaryEpoch(before: ClusterState | null, next: ClusterState): ClusterState {
  return before?.primaryId === next.primaryId ? next : { ...next, primaryEpoch: next.epoch };
}

export function isLive(backend: BackendStatus): boolean {
  return backend.state !== "down";
}

export function liveIds(state: ClusterState): readonly number[] {
  return state.backends.filter(isLive).map(({ id }) => id);
}

/** The main node of Pgpool-II: the live one with the smallest id. */
export function mainId(state: ClusterState): number | null {
  return state.backends.find(isLive)?.id ?? null;
}

export function findBackend(state: ClusterState, id: number): BackendStatus | null {
  return state.backends.find((backend) => backend.id === id) ?? null;
}

/** Sets the state of some backends; those that have it already keep their date. */
export function withBackends(
  state: ClusterState,
  ids: readonly number[],
  change: Pick<BackendStatus, "state" | "reason" | "changedAt">,
): ClusterState {
  const reason = change.reason.slice(0, REASON_MAX);
  const backends = state.backends.map((backend) =>
    ids.includes(backend.id) && backend.state !== change.state
      ? { ...backend, ...change, reason }
      : backend,
  );
  return { ...state, backends };
}

/** Makes the state fit the configuration: servers that are new wait, those that are gone go. */
export function withConfiguredBackends(
  state: ClusterState,
  backendIds: readonly number[],
  atWallMs: number,
): ClusterState {
  const isSame =
    backendIds.length === state.backends.length &&
    state.backends.every(({ id }, index) => id === backendIds[index]);
  if (isSame) return state;
  const fresh = firstClusterState(backendIds, new Set(), atWallMs).backends;
  const backends = fresh.map((backend) => findBackend(state, backend.id) ?? backend);
  const isPrimaryKept = state.primaryId !== null && backendIds.includes(state.primaryId);
  return {
    ...state,
    epoch: state.epoch + 1,
    backends,
    primaryId: isPrimaryKept ? state.primaryId : null,
  };
}

/** Two wishes for the same change; why and who are left out. */
export function isSameRequest(one: ClusterRequest, other: ClusterRequest): boolean {
  const ids = new Set(one.backendIds);
  const otherIds = new Set(other.backendIds);
  return (
    one.kind === other.kind &&
    one.switchoverTo === other.switchoverTo &&
    one.eventId === other.eventId &&
    one.switchover?.id === other.switchover?.id &&
    ids.size === otherIds.size &&
    [...ids].every((id) => otherIds.has(id))
  );
}
