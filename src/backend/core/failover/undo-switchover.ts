/**
 * The way back of a switchover: the old primary goes on, or is started again, and everything is as
 * it was. It is open as long as the target is no primary: also when failover_command has failed for
 * good, provided that the target itself says that it is still in recovery.
 */
import { assert, type Ms } from "../../../base/index.ts";
import {
  hasFailed,
  REASON_MAX,
  withBackends,
  withHistory,
  type ClusterState,
} from "../status/index.ts";
import { mayAskFor } from "./command-text.ts";
import type { Switching, Task, Turn } from "./conductor-state.ts";
import { entryOf } from "./outcome.ts";
import {
  advanceCommand,
  beginWatch,
  change,
  enter,
  handOver,
  isLate,
  patch,
  SWITCHING_BEGINS,
  targetOf,
  watched,
} from "./switchover-moves.ts";
import { commandFailure } from "./wording.ts";

const START_MS_MAX: Ms = 60_000;
/** A server that cannot be told to start may never have stopped. */
const STILL_THERE_MS_MAX: Ms = 10_000;
const REFUTE_MS_MAX: Ms = 5000;
const STARTS_MAX = 3;

/** Nothing was done to the old primary: it goes on. */
export function giveUp(turn: Turn, problem: string): true {
  // What was recorded already is the reason of the reasons.
  const known = turn.state.task?.intent.switchover?.problem ?? "";
  change(turn, { problem: (known === "" ? problem : known).slice(0, REASON_MAX) });
  enter(turn, "given-up");
  return true;
}

/** The old primary was told to stop: it is started again. */
export function undo(turn: Turn, problem: string): true {
  turn.log(`switchover: ${problem}; the old primary is started again`, "warning");
  turn.note(`undone: ${problem}`);
  change(turn, { phase: "undoing", problem: problem.slice(0, REASON_MAX) });
  enter(turn, "starting");
  return true;
}

/** The state from before, but for the history. */
export function givenUpState(turn: Turn, cluster: ClusterState, task: Task): ClusterState {
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

export function advanceStarting(turn: Turn, task: Task, switching: Switching): boolean {
  const { oldPrimaryId, newMainId } = task.intent;
  assert(oldPrimaryId !== null, "a switchover has an old primary");
  const { watchId, outcome, startCount } = switching;
  if (outcome !== null && outcome.problem === null) {
    const target = outcome.primaries.find(({ id }) => id === newMainId);
    if (target !== undefined) {
      turn.log(`switchover: node ${target.id} was promoted all the same`, "warning");
      handOver(turn, { found: { primaryId: target.id, identity: target.identity } });
      return true;
    }
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
    watchStart(turn, task, STILL_THERE_MS_MAX);
    return false;
  }
  turn.log(`switchover: node ${oldPrimaryId} does not run again: start it by hand`, "warning");
  enter(turn, "given-up");
  return true;
}

/** Waits until the old primary is one again; the target too, if it was told to be one. */
export function watchStart(turn: Turn, { intent, progress }: Task, timeoutMs = START_MS_MAX): void {
  const { oldPrimaryId: backendId, newMainId } = intent;
  assert(backendId !== null, "a switchover has an old primary");
  const isTried = progress.commands.some(({ kind }) => kind === "failover");
  const besideId = isTried ? newMainId : null;
  beginWatch(turn, { what: "primary", backendId, besideId }, timeoutMs);
}

/** Whether a switchover whose target was not promoted can be undone, if that is so. */
export function mayRefute(turn: Turn, { intent, found }: Task): boolean {
  const isStopped = intent.switchover?.phase === "stopped";
  return isStopped && found === null && mayAskFor(turn.state.settings, "start");
}

export function beginRefuting(turn: Turn, task: Task): void {
  turn.set({
    search: null,
    task: { ...task, switching: { ...SWITCHING_BEGINS, stage: "refuting" } },
  });
}

/** The target must say itself that it is still a standby: else it may be the primary any moment. */
export function advanceRefuting(turn: Turn, task: Task, switching: Switching): boolean {
  const backendId = targetOf(turn);
  const outcome = watched(turn, switching, { what: "standby", backendId }, REFUTE_MS_MAX);
  if (outcome === null && !isLate(turn)) return false;
  if (outcome !== null && outcome.problem === null) {
    const failed = task.progress.commands.findLast(hasFailed);
    const failure = failed === undefined ? null : commandFailure(failed);
    return undo(turn, failure?.message ?? `node ${backendId} was not promoted`);
  }
  const why = outcome?.problem ?? `no answer within ${REFUTE_MS_MAX} ms`;
  const message = `switchover: it cannot be undone, for node ${backendId} may be promoted`;
  turn.log(message, "warning", why);
  turn.note(`not undone: ${why}`);
  handOver(turn, { found: null });
  return true;
}
