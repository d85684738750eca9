/**
 * Online recovery: a server that is down is made anew from the primary, started and attached.
 *
 *     granted ─> recorded ─> first stage ─> remote start ─> waiting for the server ─> history, attach
 *
 * It is recorded in the cluster's state, so there is one at a time, and each stage is recorded before
 * it begins, so only a leader begins one. A copy takes minutes, a lapse of the lead mostly less
 * than a second: what runs goes on through it for `RECOVERY_GRACE_MS`. Another leader waits for
 * longer than that and takes the recovery up at the stage that is recorded: what the first one
 * started tells nobody its end. Failovers go on beside it; one that replaces the primary ends it.
 */
import { assert, fail, succeed, type Ms, type Result } from "../../../base/index.ts";
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
import type { ConductorEvent } from "./conductor-events.ts";
import { QUEUE_MAX, type ConductorState, type Turn } from "./conductor-state.ts";
import type { FailoverSettings } from "./settings.ts";

/** What this node runs. */
export interface RecoveryRun {
  /** That of the run, which a recovery has anew when it is taken up. */
  readonly runId: number;
  readonly eventId: string;
  readonly attempt: number;
  /** That it is at, or waits to begin. */
  readonly stage: RecoveryStage;
  /** Stands committed, so that it was begun. */
  readonly permitted: RecoveryStage;
  readonly isStopping: boolean;
  /** Null while it runs; the problem is null when there was none. */
  readonly end: { readonly problem: string | null } | null;
  /** This node does not lead any more: then it is stopped. */
  readonly endAtMs: Ms | null;
}

/** What has begun may go on for so long without the right to lead; nothing new begins meanwhile. */
export const RECOVERY_GRACE_MS: Ms = 5000;
/**
 * Whoever leads next takes nothing up before. It leads strictly after the lease of the one before
 * has ended; the rest is for clocks that differ and for processes to be ended.
 */
const TAKE_UP_AFTER_MS: Ms = 6000;
/** Leaders that are lost again and again may be lost because of it. */
const ATTEMPTS_MAX = 3;

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
  if (isLive(backend))
    return fail(`node recovery failed, node id: ${backendId} is alive: ${HOW_TO_STOP}`);
  if (intent !== null) return fail(IN_PROGRESS[intent.kind]);
  if (primaryId === null) return fail("there is no primary to recover from");
  if (follow?.remainingIds.includes(backendId) === true) {
    return fail(`follow_primary_command for node ${backendId} has not ended`);
  }
  return succeed(primaryId);
}

const HOW_TO_STOP = "stop its server, and detach it where no health check does";

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
      attempt: 1,
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
  const { backendId, sourceId } = recovery;
  turn.log(`starting recovering node ${backendId}`, "log", `from the primary, node ${sourceId}`);
  begin(turn, recovery);
}

function begin(turn: Turn, { eventId, attempt, backendId, sourceId, stage }: Recovery): void {
  const runId = turn.takeId();
  turn.set({
    recovery: {
      runId,
      eventId,
      attempt,
      stage,
      permitted: stage,
      isStopping: false,
      end: null,
      endAtMs: null,
    },
  });
  const isTakenUp = attempt > 1;
  turn.act({ type: "recover", runId, backendId, sourceId, from: stage, isTakenUp });
}

/** What the one that runs tells; an earlier one has nothing to say any more. */
export function onRecoveryEvent(
  turn: Turn,
  event: Extract<ConductorEvent, { readonly type: "recovery-stage" | "recovery-ended" }>,
): void {
  const run = turn.state.recovery;
  if (run === null || run.runId !== event.runId) return;
  if (event.type === "recovery-stage") turn.set({ recovery: { ...run, stage: event.stage } });
  else turn.set({ recovery: { ...run, end: { problem: event.problem } } });
}

/** One move of the recovery that the state tells of, if one is due. */
export function advanceRecovery(turn: Turn, cluster: ClusterState): boolean {
  const { recovery } = cluster;
  if (recovery === null) return false;
  const run = turn.state.recovery;
  if (run === null || !isOf(run, recovery)) return advanceLost(turn, cluster, recovery);
  if (run.end !== null) return end(turn, cluster, recovery, run.end.problem);
  if (cluster.primaryId !== recovery.sourceId && !run.isStopping) {
    const why = `node ${recovery.sourceId} is no longer the primary`;
    turn.set({ recovery: { ...run, isStopping: true } });
    turn.act({ type: "stop-recovery", runId: run.runId, why });
    return true;
  }
  if (run.stage === run.permitted) return false;
  if (run.stage === recovery.stage && turn.state.isOwn) {
    turn.set({ recovery: { ...run, permitted: run.stage } });
    turn.act({ type: "permit-recovery", runId: run.runId, stage: run.stage });
    return true;
  }
  // After a lapse once more: that it is still ours shows when a state of our own is committed.
  const stageAt = run.stage === recovery.stage ? recovery.stageAt : turn.wallMs;
  const step = { ...recovery, stage: run.stage, stageAt };
  turn.propose("recovery", { ...cluster, recovery: step });
  return true;
}

/** Nobody carries it on. Whoever did may have had a moment left, which has to pass first. */
function advanceLost(turn: Turn, cluster: ClusterState, recovery: Recovery): boolean {
  const { backendId, attempt, sourceId, stage } = recovery;
  if (cluster.primaryId !== sourceId) {
    return end(turn, cluster, recovery, `node ${sourceId} is no longer the primary`);
  }
  if (attempt >= ATTEMPTS_MAX) {
    const problem = `the leader that ran it was lost, ${attempt} times`;
    return end(turn, cluster, recovery, problem);
  }
  if (turn.nowMs < takeUpAtMs(turn.state)) return false;
  turn.log(`taking up the recovery of node ${backendId}`, "log", `at its ${stage}`);
  turn.propose("take-up-recovery", {
    ...cluster,
    recovery: { ...recovery, attempt: attempt + 1, stageAt: turn.wallMs },
  });
  return true;
}

/** Of a recovery that nobody carries on, or that may not be carried on much longer. */
export function recoveryWakeAtMs(state: ConductorState): Ms | null {
  const { leads, cluster, recovery: run } = state;
  if (!leads) return run?.endAtMs ?? null;
  const recovery = cluster?.recovery ?? null;
  if (recovery === null || (run !== null && isOf(run, recovery))) return null;
  return takeUpAtMs(state);
}

function takeUpAtMs({ leadsSinceMs }: ConductorState): Ms {
  return leadsSinceMs + TAKE_UP_AFTER_MS;
}

function isOf(run: RecoveryRun, { eventId, attempt }: Recovery): boolean {
  return run.eventId === eventId && run.attempt === attempt;
}

/** A recovery outlives a short lapse: nobody else takes it up within it. */
export function onRecoveryLeadership(turn: Turn, leads: boolean): void {
  const run = turn.state.recovery;
  if (run === null) return;
  const endAtMs = leads ? null : turn.nowMs + RECOVERY_GRACE_MS;
  turn.set({ recovery: { ...run, endAtMs } });
}

/** The lapse was no short one: another leader may take it up, so ours must not go on. */
export function endLapsedRecovery(turn: Turn): void {
  const run = turn.state.recovery;
  const endAtMs = run?.endAtMs ?? null;
  if (endAtMs !== null && turn.nowMs >= endAtMs)
    drop(turn, "this node no longer leads the cluster");
}

/** Of whatever node's proposal: ours must not go on when it is over, or another's. */
export function onRecoveryCommitted(turn: Turn, cluster: ClusterState | null): void {
  const run = turn.state.recovery;
  const recovery = cluster?.recovery ?? null;
  if (run === null || (recovery !== null && isOf(run, recovery))) return;
  drop(turn, "another leader has ended it");
}

/** Ours to carry on now. */
export function onRecoveryTakenUp(turn: Turn, { recovery }: ClusterState): void {
  assert(recovery !== null, "a recovery was taken up");
  begin(turn, recovery);
}

/** What was told of the end stands committed by us. */
export function onRecoveryProposed(turn: Turn, { recovery, history }: ClusterState): void {
  const entry = history.at(-1);
  if (recovery !== null || entry === undefined) return;
  const [backendId = -1] = entry.backendIds;
  if (entry.outcome === "done") {
    turn.log(`recovery done for node ${backendId}`);
    askToAttach(turn, backendId, entry.by);
  } else {
    turn.log(`recovery of node ${backendId} failed`, "warning", entry.problem);
  }
}

function drop(turn: Turn, why: string): void {
  const run = turn.state.recovery;
  turn.set({ recovery: null });
  if (run !== null && run.end === null) {
    turn.act({ type: "stop-recovery", runId: run.runId, why });
  }
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
