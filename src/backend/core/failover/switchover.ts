/**
 * The part of a switchover that comes before the promotion. What follows is what follows any loss
 * of a primary: failover_command, the search for the new one, follow_primary_command.
 *
 *     settling ──> draining ──> stopping ──> catching-up ──> (commands, searching, finishing)
 *         │ inherited  │            │             │
 *         └> probing   └ gives up   └─────────────┴──> starting ──> gives up
 *
 * Clients wait from the commit of the intent, but their open transactions go on until `draining`
 * ends. Before the old primary is told to stop, giving up means letting the clients go on. After
 * that the decision between forward and back is recorded first: `stopped` with the position that the
 * target must have replayed, or `undoing`; a successor does what is recorded.
 */
import { assert, unreachable, type Ms } from "../../../base/index.ts";
import {
  hasFailed,
  HISTORY_COMMANDS_MAX,
  REASON_MAX,
  withBackends,
  withHistory,
  type ClusterState,
  type CommandRecord,
  type Intent,
  type SwitchoverState,
} from "../status/index.ts";
import { shutdownLsnIn, type WatchOrder, type WatchOutcome } from "../switchover/index.ts";
import { mayAskFor } from "./command-text.ts";
import type { ConductorEvent, ConductorState, Switching, Task, Turn } from "./conductor-state.ts";
import { entryOf } from "./outcome.ts";
import { recordOf, startCommand } from "./run-command.ts";

export const SWITCHING_BEGINS: Switching = {
  stage: "settling",
  watchId: null,
  outcome: null,
  deadlineMs: null,
  startCount: 0,
};

/** A server that is slow to stop is not worth more waiting: it is started again. */
const STOP_MS_MAX: Ms = 60_000;
const CATCH_UP_MS_MAX: Ms = 10_000;
const START_MS_MAX: Ms = 60_000;
const STARTS_MAX = 3;

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
    case "starting":
      return advanceStarting(turn, task, switching);
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

/** Runs demote_command, and ends it when that takes too long. */
function advanceCommand(turn: Turn, task: Task, action: "stop" | "start", limitMs: Ms): false {
  const { run } = task;
  if (run === null) return order(turn, action, limitMs);
  if (isLate(turn)) {
    turn.act({ type: "stop-command", commandId: run.commandId, how: "ask" });
    patch(turn, { deadlineMs: null });
  }
  return false;
}

function advanceCatchingUp(turn: Turn, task: Task, switching: Switching): boolean {
  const { newMainId, switchover } = task.intent;
  const lsn = switchover?.shutdownLsn ?? null;
  assert(newMainId !== null && lsn !== null, "the old primary was stopped");
  const lost = lostTarget(turn, task.intent);
  if (lost !== null) return undo(turn, lost);
  const wanted = { what: "replayed", backendId: newMainId, lsn } as const;
  const outcome = watched(turn, switching, wanted, CATCH_UP_MS_MAX);
  if (outcome === null) {
    if (!isLate(turn)) return false;
    return undo(turn, `node ${newMainId} has not replayed ${lsn} in ${CATCH_UP_MS_MAX} ms`);
  }
  if (outcome.problem !== null) {
    return undo(turn, `node ${newMainId} cannot be looked at: ${outcome.problem}`);
  }
  turn.note(`node ${newMainId} has replayed everything`);
  handOver(turn, {});
  return true;
}

function advanceStarting(turn: Turn, task: Task, switching: Switching): boolean {
  const { oldPrimaryId } = task.intent;
  assert(oldPrimaryId !== null, "a switchover has an old primary");
  const { watchId, outcome, startCount } = switching;
  if (outcome !== null && outcome.problem === null) {
    turn.note("the old primary runs again");
    enter(turn, "given-up");
    return true;
  }
  if (watchId !== null && !isLate(turn)) return false;
  if (task.run !== null || (startCount < STARTS_MAX && mayAskFor(turn.state.settings, "start"))) {
    if (watchId !== null) patch(turn, { watchId: null });
    return advanceCommand(turn, task, "start", START_MS_MAX);
  }
  if (startCount === 0 && watchId === null) {
    // It cannot be told to start, but it may never have stopped.
    beginWatch(turn, { what: "primary", backendId: oldPrimaryId }, CATCH_UP_MS_MAX);
    return false;
  }
  turn.log(`switchover: node ${oldPrimaryId} does not run again: start it by hand`, "warning");
  enter(turn, "given-up");
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
    beginWatch(turn, { what: "primary", backendId: oldPrimaryId }, START_MS_MAX);
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

// ---- ends ---------------------------------------------------------------------------------

/** Nothing was done to the old primary: it goes on. */
function giveUp(turn: Turn, problem: string): true {
  change(turn, { problem: problem.slice(0, REASON_MAX) });
  enter(turn, "given-up");
  return true;
}

/** The old primary was told to stop: it is started again. */
function undo(turn: Turn, problem: string): true {
  turn.log(`switchover: ${problem}; the old primary is started again`, "warning");
  turn.note(`undone: ${problem}`);
  change(turn, { phase: "undoing", problem: problem.slice(0, REASON_MAX) });
  enter(turn, "starting");
  return true;
}

/** From here on it is as when a primary was lost: there is no way back. */
function handOver(turn: Turn, change: Partial<Task>): void {
  const { task } = turn.state;
  assert(task !== null, "a switchover is carried out");
  turn.act({ type: "end-watch" });
  const stage = change.found === undefined ? "commands" : "finishing";
  turn.set({ task: { ...task, stage, ...change, switching: null } });
}

/** The state from before, but for the history. */
function givenUpState(turn: Turn, cluster: ClusterState, task: Task): ClusterState {
  const { intent } = task;
  const { oldPrimaryId, switchover } = intent;
  assert(oldPrimaryId !== null && switchover !== null, "a switchover has an old primary");
  turn.act({ type: "end-watch" });
  const reason = "it goes on as the primary";
  const back = { state: "waiting", reason, changedAt: turn.wallMs } as const;
  const stoppedIds = switchover.phase === "draining" ? [] : [oldPrimaryId];
  const isBack = stoppedIds.length === 0 || task.switching?.outcome?.problem === null;
  const primaryId = isBack ? oldPrimaryId : null;
  return withHistory(
    {
      ...withBackends(cluster, stoppedIds, back),
      epoch: cluster.epoch + 1,
      primaryId,
      intent: null,
    },
    {
      ...entryOf(turn, cluster, task, primaryId),
      outcome: "failed",
      problem: switchover.problem,
    },
  );
}

// ---- helpers ------------------------------------------------------------------------------

function enter(turn: Turn, stage: Switching["stage"]): void {
  const keep = stage === "given-up" ? {} : { outcome: null };
  patch(turn, { stage, watchId: null, deadlineMs: null, ...keep });
}

function patch(turn: Turn, change: Partial<Switching>): void {
  const { task } = turn.state;
  assert(task !== null && task.switching !== null, "a switchover is carried out");
  turn.set({ task: { ...task, switching: { ...task.switching, ...change } } });
}

/** Begins to watch, unless that was done; the outcome when it is there. */
function watched(
  turn: Turn,
  switching: Switching,
  what: WatchOrder,
  timeoutMs: Ms | null = null,
): WatchOutcome | null {
  if (switching.outcome !== null) return switching.outcome;
  if (switching.watchId === null) beginWatch(turn, what, timeoutMs);
  return null;
}

function beginWatch(turn: Turn, what: WatchOrder, timeoutMs: Ms | null): void {
  const watchId = turn.takeId();
  const deadlineMs = timeoutMs === null ? null : turn.nowMs + timeoutMs;
  patch(turn, { watchId, outcome: null, deadlineMs });
  turn.act({ type: "watch", watchId, order: what });
}

function isLate(turn: Turn): boolean {
  const deadlineMs = turn.state.task?.switching?.deadlineMs ?? null;
  return deadlineMs !== null && turn.nowMs >= deadlineMs;
}

/** Runs demote_command; false: its end is awaited. */
function order(turn: Turn, action: "stop" | "start", timeoutMs: Ms): false {
  const { task, settings, runningIds } = turn.state;
  assert(task !== null && task.switching !== null, "a switchover is carried out");
  if (runningIds.length > 0) return false;
  const { intent, switching } = task;
  assert(intent.oldPrimaryId !== null, "a switchover has an old primary");
  const startCount = switching.startCount + (action === "start" ? 1 : 0);
  const run = startCommand(turn, {
    kind: "demote",
    action,
    template: settings.demoteCommand,
    backendId: intent.oldPrimaryId,
    event: intent,
    newMainId: intent.newMainId,
    attempt: Math.max(1, startCount),
  });
  const deadlineMs = turn.nowMs + timeoutMs;
  turn.set({ task: { ...task, run, switching: { ...switching, startCount, deadlineMs } } });
  return false;
}

/** The target is wanted out of service: it must not take over. */
function lostTarget(turn: Turn, { newMainId }: Intent): string | null {
  const isLost = turn.state.queue.some(
    ({ request: { kind, backendIds } }) =>
      kind === "detach" && newMainId !== null && backendIds.includes(newMainId),
  );
  return isLost ? `node ${newMainId} was lost` : null;
}

/** Known to us alone, until it is recorded. */
function change(turn: Turn, what: Partial<SwitchoverState>): void {
  const { task } = turn.state;
  const switchover = task?.intent.switchover ?? null;
  assert(task !== null && switchover !== null, "a switchover is carried out");
  const intent = { ...task.intent, switchover: { ...switchover, ...what } };
  turn.set({ task: { ...task, intent } });
}

function targetOf(turn: Turn): number {
  const id = turn.state.task?.intent.newMainId ?? null;
  assert(id !== null, "a switchover has a target");
  return id;
}

/** There is no primary for the time being; what comes next is decided. */
function proposePhase(turn: Turn, cluster: ClusterState, switchover: SwitchoverState): void {
  const { task } = turn.state;
  assert(task !== null && task.intent.oldPrimaryId !== null, "a switchover has an old primary");
  const { oldPrimaryId, newMainId } = task.intent;
  const reason = `stopped so that node ${newMainId} takes over`;
  const down = { state: "down", reason, changedAt: turn.wallMs } as const;
  turn.set({ task: { ...task, isNewEpoch: true } });
  const stopped = { ...withBackends(cluster, [oldPrimaryId], down), primaryId: null };
  turn.proposeIntent(stopped, { switchover });
}
