/**
 * The part of a switchover that comes before the promotion. What follows is what follows any loss
 * of a primary: failover_command, the search for the new one, follow_primary_command.
 *
 *     settling ──> draining ──> stopping ──> catching-up ──> (commands, searching ──> finishing)
 *         │ inherited  │            │             │                        │ failed
 *         └> probing   └ gives up   └─────────────┴──> starting <──── refuting
 *               └─> catching-up ──> unsure ──> probing, refuting └──> gives up
 *
 * Clients wait from the commit of the intent, but their open transactions go on until `draining`
 * ends. Before the old primary is told to stop, giving up means letting the clients go on. After
 * that the decision between forward and back is recorded first: `stopped` with the position that the
 * target must have replayed, or `undoing`; a successor does what is recorded. The way back ends where
 * the target may have been promoted (`undo-switchover.ts`): a successor that cannot tell looks again.
 */
import { assert, unreachable, type Ms } from "../../../base/index.ts";
import {
  hasFailed,
  HISTORY_COMMANDS_MAX,
  type ClusterState,
  type CommandRecord,
} from "../status/index.ts";
import { shutdownLsnIn, type WatchOutcome } from "../switchover/index.ts";
import type { ConductorEvent } from "./conductor-events.ts";
import type { ConductorState, Switching, Task, Turn } from "./conductor-state.ts";
import { recordOf } from "./run-command.ts";
import {
  advanceCommand,
  beginWatch,
  change,
  enter,
  handOver,
  isLate,
  lostTarget,
  patch,
  proposePhase,
  targetOf,
  watched,
} from "./switchover-moves.ts";
import {
  advanceRefuting,
  advanceStarting,
  givenUpState,
  giveUp,
  undo,
  watchStart,
} from "./undo-switchover.ts";

/** A server that is slow to stop is not worth more waiting: it is started again. */
const STOP_MS_MAX: Ms = 60_000;
const CATCH_UP_MS_MAX: Ms = 10_000;
const UNSURE_MS: Ms = 1000;
const UNSURE_MAX = 30;

/** One move for the switchover of `cluster`, which is our own proposal. */
export function advanceSwitchover(turn: Turn, cluster: ClusterState, task: Task): boolean {
  const { intent, switching } = task;
  const { switchover } = intent;
  assert(switching !== null && switchover !== null, "a switchover is carried out");
  // Recorded before anything is done that follows from it.
  if (switchover.phase !== cluster.intent?.switchover?.phase) {
    proposePhase(turn, cluster, switchover);
    return true;
  }
  switch (switching.stage) {
    case "settling":
      if (turn.state.settledIndex < task.index) return false;
      turn.note("nothing begins on the old primary any more");
      enter(turn, task.isInherited ? "probing" : "draining");
      return true;
    case "probing":
      return advanceProbing(turn, task, switching);
    case "draining":
      return advanceDraining(turn, task, switching);
    case "stopping":
      return advanceCommand(turn, task, "stop", STOP_MS_MAX);
    case "catching-up":
      return advanceCatchingUp(turn, task, switching);
    case "unsure":
      return advanceUnsure(turn, switching);
    case "starting":
      return advanceStarting(turn, task, switching);
    case "refuting":
      return advanceRefuting(turn, task, switching);
    case "given-up":
      turn.propose("finish", givenUpState(turn, cluster, task));
      return true;
  }
  return unreachable(switching.stage);
}

/** A leader before us was lost. What the servers are decides, and what was recorded. */
function advanceProbing(turn: Turn, task: Task, switching: Switching): boolean {
  const { oldPrimaryId, newMainId, switchover } = task.intent;
  // One of our own, from a leadership that we lost meanwhile, may still be ending.
  if (turn.state.runningIds.length > 0) return false;
  const ids = [oldPrimaryId, newMainId].filter((id) => id !== null);
  const outcome = watched(turn, switching, { what: "roles", backendIds: ids });
  if (outcome === null) return false;
  const find = (id: number | null): WatchOutcome["primaries"][number] | null =>
    outcome.primaries.find((primary) => primary.id === id) ?? null;
  const target = find(newMainId);
  if (target !== null) {
    turn.log("failover_command is not run again: the primary has been replaced already");
    handOver(turn, { found: { primaryId: target.id, identity: target.identity } });
    return true;
  }
  if (find(oldPrimaryId) !== null) {
    giveUp(turn, "the leader that carried it out was lost");
    return true;
  }
  if (switchover?.phase === "draining") {
    // Whether it was stopped or is lost, what it needs now is what any lost primary needs.
    return giveUp(turn, "the leader that carried it out was lost, and so is the old primary");
  }
  enter(turn, switchover?.phase === "stopped" ? "catching-up" : "starting");
  return true;
}

function advanceDraining(turn: Turn, task: Task, switching: Switching): boolean {
  const { oldPrimaryId, switchover } = task.intent;
  assert(oldPrimaryId !== null && switchover !== null, "a switchover has an old primary");
  const { drainTimeoutMs, onTimeout } = switchover;
  const lost = lostTarget(turn, task.intent);
  if (lost !== null) return giveUp(turn, lost);
  const order = { what: "drained", backendId: oldPrimaryId } as const;
  const outcome = watched(turn, switching, order, drainTimeoutMs);
  if (outcome !== null) {
    if (outcome.problem !== null) {
      return giveUp(turn, `the old primary cannot be looked at: ${outcome.problem}`);
    }
    turn.note("its transactions have ended");
  } else {
    if (!isLate(turn)) return false;
    const still = `transactions still ran after ${drainTimeoutMs} ms`;
    if (onTimeout === "abort") return giveUp(turn, still);
    turn.note(`${still}: cancelled`);
    turn.log(`switchover: ${still}; they are cancelled`, "warning");
  }
  enter(turn, "stopping");
  return true;
}

function advanceCatchingUp(turn: Turn, task: Task, switching: Switching): boolean {
  const { newMainId, switchover } = task.intent;
  const lsn = switchover?.shutdownLsn ?? null;
  assert(newMainId !== null && lsn !== null, "the old primary was stopped");
  const lost = lostTarget(turn, task.intent);
  if (lost !== null) return goBack(turn, task, lost);
  const wanted = { what: "replayed", backendId: newMainId, lsn } as const;
  const outcome = watched(turn, switching, wanted, CATCH_UP_MS_MAX);
  if (outcome === null) {
    if (!isLate(turn)) return false;
    return goBack(turn, task, `node ${newMainId} has not replayed ${lsn} in ${CATCH_UP_MS_MAX} ms`);
  }
  if (outcome.problem !== null) {
    return goBack(turn, task, `node ${newMainId} cannot be looked at: ${outcome.problem}`);
  }
  turn.note(`node ${newMainId} has replayed everything`);
  handOver(turn, {});
  return true;
}

/** A leader before us may have promoted the target: the old primary is not started beside it. */
function goBack(turn: Turn, task: Task, problem: string): true {
  if (!task.isInherited) return undo(turn, problem);
  turn.log(`switchover: ${problem}; it may have been promoted`, "warning");
  enter(turn, "unsure");
  patch(turn, { deadlineMs: turn.nowMs + UNSURE_MS });
  return true;
}

/** All is looked at once more; in the end the target itself has to say that it is no primary. */
function advanceUnsure(turn: Turn, { unsureCount }: Switching): boolean {
  if (!isLate(turn)) return false;
  patch(turn, { unsureCount: unsureCount + 1 });
  enter(turn, unsureCount + 1 < UNSURE_MAX ? "probing" : "refuting");
  return true;
}

// ---- what is told from outside ------------------------------------------------------------

export function onWatched(
  turn: Turn,
  event: Extract<ConductorEvent, { readonly type: "watched" }>,
): void {
  const switching = turn.state.task?.switching;
  if (switching?.watchId !== event.watchId) return;
  patch(turn, { watchId: null, outcome: event.outcome });
}

/** Of demote_command. */
export function onDemoteFinished(
  turn: Turn,
  task: Task,
  event: Extract<ConductorEvent, { readonly type: "command-finished" }>,
): CommandRecord {
  const { intent, run, switching } = task;
  const { oldPrimaryId } = intent;
  assert(run !== null && switching !== null, "demote_command has run");
  assert(oldPrimaryId !== null, "a switchover has an old primary");
  const what = { kind: "demote", backendId: oldPrimaryId, epoch: intent.epoch } as const;
  const record = recordOf(turn, run, what, event);
  const commands = [...task.progress.commands, record].slice(-HISTORY_COMMANDS_MAX);
  const progress = { ...task.progress, commands };
  turn.set({ task: { ...task, run: null, progress, isRecorded: false } });
  if (switching.stage === "stopping") onStopEnded(turn, record, event.outputTail);
  else if (switching.stage === "starting" && !hasFailed(record)) {
    watchStart(turn, { ...task, progress });
  } else if (switching.stage === "starting") {
    patch(turn, { outcome: { problem: "it was not started", primaries: [] } });
  }
  return record;
}

function onStopEnded(turn: Turn, record: CommandRecord, output: string): void {
  const shutdownLsn = shutdownLsnIn(output);
  if (hasFailed(record) || shutdownLsn === null) {
    const why = hasFailed(record) ? "has failed" : "did not print where the log ends";
    undo(turn, `demote_command ${why}`);
    return;
  }
  turn.note("the old primary is stopped");
  change(turn, { phase: "stopped", shutdownLsn });
  enter(turn, "catching-up");
  // At once: what is recorded meanwhile takes as long as the last of the log needs to arrive.
  beginWatch(
    turn,
    { what: "replayed", backendId: targetOf(turn), lsn: shutdownLsn },
    CATCH_UP_MS_MAX,
  );
}

/** Null: nothing is awaited. */
export function switchingWakeAtMs({ task }: ConductorState): Ms | null {
  return task?.switching?.deadlineMs ?? null;
}
