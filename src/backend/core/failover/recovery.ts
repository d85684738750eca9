/**
 * Online recovery: a server that is down is made anew from the primary, started and attached.
 *
 *     granted ─> recorded ─> first stage ─> remote start ─> waiting for the server ─> history, attach
 *
 * It is recorded in the cluster's state, so there is one at a time. Only the leader that began it
 * carries it on: another one strikes it out, because what the first one started is gone or tells
 * nobody its end. Failovers go on beside it; one that replaces the primary ends it.
 */
import { fail, succeed, type Result } from "../../../base/index.ts";
import type { ClusterRequest, Recovery, RecoveryStage } from "../../../wire/ipc/index.ts";
import {
  BY_MAX,
  findBackend,
  isLive,
  plainEntry,
  PROBLEM_MAX,
  withHistory,
  type ClusterState,
} from "../status/index.ts";
import { QUEUE_MAX, type ConductorEvent, type Turn } from "./conductor-state.ts";
import type { FailoverSettings } from "./settings.ts";

/** What this leader runs. */
export interface RecoveryRun {
  readonly eventId: string;
  readonly stage: RecoveryStage;
  readonly isStopping: boolean;
  /** Null while it runs; the problem is null when there was none. */
  readonly end: { readonly problem: string | null } | null;
}

/**
 * The primary that the server is copied from.
 *
 * Errors: why there can be no recovery now, in Pgpool-II's words where it has some.
 */
export function planRecovery(
  state: ClusterState,
  backendId: number,
  settings: FailoverSettings,
): Result<number, string> {
  const { primaryId, intent, follow, recovery } = state;
  const backend = findBackend(state, backendId);
  if (backend === null) return fail(`invalid node ID : ${backendId}`);
  if (!settings.isStreaming) {
    return fail("recovery request is accepted only in streaming replication mode");
  }
  if (recovery !== null) {
    return fail("pgpool-II is already processing another recovery request.");
  }
  if (backendId === primaryId)
    return fail("primary server cannot be recovered by online recovery.");
  if (isLive(backend)) return fail(`node recovery failed, node id: ${backendId} is alive`);
  if (intent !== null) return fail(IN_PROGRESS[intent.kind]);
  if (primaryId === null) return fail("there is no primary to recover from");
  if (follow?.remainingIds.includes(backendId) === true) {
    return fail(`follow_primary_command for node ${backendId} has not ended`);
  }
  return succeed(primaryId);
}

const IN_PROGRESS = {
  detach: "failover is in progress",
  attach: "failback is in progress",
  promote: "promote node operation is in progress",
  switchover: "switchover is in progress",
} as const;

/** Proposes to begin, or writes down why not: whoever asked looks for one or the other. */
export function proposeRecovery(turn: Turn, cluster: ClusterState, request: ClusterRequest): void {
  const { eventId = "", reason, backendIds } = request;
  const backendId = backendIds[0] ?? -1;
  const by = (request.by ?? "").slice(0, BY_MAX);
  const epoch = cluster.epoch + 1;
  const planned = planRecovery(cluster, backendId, turn.state.settings);
  if (planned.ok) {
    const at = turn.wallMs;
    const recovery: Recovery = {
      eventId,
      backendId,
      sourceId: planned.value,
      by,
      stage: "first stage",
      startedAt: at,
      stageAt: at,
    };
    turn.propose("begin-recovery", { ...cluster, epoch, recovery });
    return;
  }
  const problem = planned.error;
  turn.log(`recovery request for node ${backendId} is refused`, "warning", problem);
  const entry = plainEntry({
    epoch,
    eventId,
    endedAt: turn.wallMs,
    kind: "recover",
    backendIds,
    reason,
    by,
    outcome: "failed",
    problem,
  });
  turn.propose("begin-recovery", withHistory({ ...cluster, epoch }, entry));
}

/** The request stands committed, as begun or as refused. */
export function onRecoveryBegun(turn: Turn, { recovery }: ClusterState): void {
  turn.set({ queue: turn.state.queue.slice(1) });
  if (recovery === null || recovery.eventId === turn.state.recovery?.eventId) return;
  const { eventId, backendId, sourceId, stage } = recovery;
  turn.set({ recovery: { eventId, stage, isStopping: false, end: null } });
  turn.log(`starting recovering node ${backendId}`, "log", `from the primary, node ${sourceId}`);
  turn.act({ type: "recover", eventId, backendId, sourceId });
}

/** What the one that runs tells; an earlier one has nothing to say any more. */
export function onRecoveryEvent(
  turn: Turn,
  event: Extract<ConductorEvent, { readonly type: "recovery-stage" | "recovery-ended" }>,
): void {
  const run = turn.state.recovery;
  if (run === null || run.eventId !== event.eventId) return;
  if (event.type === "recovery-stage") turn.set({ recovery: { ...run, stage: event.stage } });
  else turn.set({ recovery: { ...run, end: { problem: event.problem } } });
}

/** One move of the recovery that the state tells of, if one is due. */
export function advanceRecovery(turn: Turn, cluster: ClusterState): boolean {
  const { recovery } = cluster;
  if (recovery === null) return false;
  const run = turn.state.recovery;
  if (run === null || run.eventId !== recovery.eventId) {
    return end(turn, cluster, recovery, "the leader that ran it was lost");
  }
  if (run.end !== null) return end(turn, cluster, recovery, run.end.problem);
  if (cluster.primaryId !== recovery.sourceId && !run.isStopping) {
    const why = `node ${recovery.sourceId} is no longer the primary`;
    turn.set({ recovery: { ...run, isStopping: true } });
    turn.act({ type: "stop-recovery", eventId: run.eventId, why });
    return true;
  }
  if (run.stage === recovery.stage) return false;
  const stageAt = turn.wallMs;
  const step = { ...recovery, stage: run.stage, stageAt };
  turn.propose("recovery", { ...cluster, recovery: step });
  return true;
}

/** Another leader may begin another: ours must not go on. */
export function dropRecovery(turn: Turn): void {
  const run = turn.state.recovery;
  if (run === null) return;
  turn.set({ recovery: null });
  if (run.end !== null) return;
  const why = "this node no longer leads the cluster";
  turn.act({ type: "stop-recovery", eventId: run.eventId, why });
}

function end(
  turn: Turn,
  cluster: ClusterState,
  recovery: Recovery,
  problem: string | null,
): boolean {
  const { eventId, backendId, by, startedAt } = recovery;
  const epoch = cluster.epoch + 1;
  const entry = plainEntry({
    epoch,
    eventId,
    endedAt: turn.wallMs,
    startedAt,
    kind: "recover",
    backendIds: [backendId],
    reason: "online recovery",
    by,
    outcome: problem === null ? "done" : "failed",
    problem: (problem ?? "").slice(0, PROBLEM_MAX),
  });
  if (problem === null) {
    turn.log(`recovery done for node ${backendId}`);
    askToAttach(turn, backendId, by);
  } else {
    turn.log(`recovery of node ${backendId} failed`, "warning", problem);
  }
  turn.set({ recovery: null });
  turn.propose("recovery", withHistory({ ...cluster, epoch, recovery: null }, entry));
  return true;
}

function askToAttach(turn: Turn, backendId: number, by: string): void {
  const { queue } = turn.state;
  if (queue.length === QUEUE_MAX) {
    turn.log(`node ${backendId} is not attached: ${QUEUE_MAX} requests wait already`, "warning");
    return;
  }
  const request: ClusterRequest = {
    kind: "attach",
    backendIds: [backendId],
    confirmed: true,
    switchoverTo: null,
    reason: "online recovery is done",
    by,
  };
  turn.set({ queue: [...queue, { request, grantedAt: turn.wallMs, votes: [] }] });
}
