/** What is done for an intent that stands committed. */
import { assert, unreachable } from "../../../base/index.ts";
import {
  hasFailed,
  HISTORY_COMMANDS_MAX,
  liveIds,
  type ClusterState,
  type CommandRecord,
  type Intent,
} from "../status/index.ts";
import { advanceChoosing, beginComparison, isChoiceDue } from "./choosing.ts";
import type { ConductorEvent } from "./conductor-events.ts";
import type { Task, Turn } from "./conductor-state.ts";
import { stopFollow } from "./follow.ts";
import { finishedState } from "./outcome.ts";
import { recordOf, startCommand } from "./run-command.ts";
import { beginSearch, look } from "./search-primary.ts";
import { SWITCHING_BEGINS } from "./switchover-moves.ts";
import { advanceSwitchover } from "./switchover.ts";
import { beginRefuting, mayRefute } from "./undo-switchover.ts";

/** The first repetition of a command that failed waits so long, each further one twice as long. */
export const RETRY_COMMAND_AFTER_MS = 1000;
/**
 * A primary that no command has promoted is looked for so long at most before clients are told;
 * whenever one shows later, it is taken all the same.
 */
export const FAILED_SEARCH_MS = 5000;
/** A switchover is undone then, and its clients wait. */
const FAILED_SWITCHOVER_SEARCH_MS = 2000;

/** @param isInherited a leader before us began it. */
export function newTask(turn: Turn, intent: Intent, isInherited: boolean): Task {
  const { index } = turn.state;
  assert(index !== null, "an intent stands in a committed state");
  const { progress } = intent;
  const stage = "settling";
  const switching = intent.kind === "switchover" ? SWITCHING_BEGINS : null;
  const fresh = { run: null, progress, isRecorded: true, isNewEpoch: false, found: null };
  const choice = { choosing: null, comparisonId: null };
  return { ...fresh, ...choice, intent, index, isInherited, stage, switching };
}

/** One move for the intent of `cluster`, which is our own proposal. */
export function advanceIntent(turn: Turn, cluster: ClusterState, intent: Intent): boolean {
  const { task, settledIndex } = turn.state;
  if (task === null || task.intent.eventId !== intent.eventId) {
    turn.log(`taking over the unfinished ${intent.kind} of node ${intent.backendIds.join(", ")}`);
    turn.set({ task: newTask(turn, intent, true), search: null });
    turn.note("taken over by another leader");
    return true;
  }
  if (task.switching !== null) return advanceSwitchover(turn, cluster, task);
  if (!task.isRecorded && task.stage !== "finishing") {
    turn.proposeIntent(cluster);
    return true;
  }
  switch (task.stage) {
    case "settling": {
      if (settledIndex < task.index) return false;
      turn.note("no node uses the old state");
      // Its command may have done its work before the leader of that time was lost.
      const maySee = task.isInherited && replacesPrimary(intent);
      if (maySee) setStage(turn, "probing");
      else beginCommands(turn, cluster, intent);
      return true;
    }
    case "probing":
      return advanceProbing(turn, cluster, task);
    case "choosing":
      return advanceChoosing(turn, cluster, task);
    case "commands":
      // The followers of a primary that is lost have nobody to follow.
      if (turn.state.follow !== null && intent.primaryChanges) return stopFollow(turn);
      return advanceCommands(turn, cluster, task);
    case "retrying":
      return advanceRetrying(turn, cluster, task);
    case "searching":
      return advanceSearching(turn, cluster, task);
    case "finishing":
      turn.propose("finish", finishedState(turn, cluster, task));
      return true;
  }
  return unreachable(task.stage);
}

function setStage(turn: Turn, stage: Task["stage"], change: Partial<Task> = {}): void {
  const { task } = turn.state;
  assert(task !== null, "a task has stages");
  turn.set({ task: { ...task, ...change, stage } });
}

/** One look: when a primary shows, the command is not run again. */
function advanceProbing(turn: Turn, cluster: ClusterState, task: Task): boolean {
  const { search, runningIds } = turn.state;
  // One of our own, from a leadership that we lost meanwhile, may still be ending.
  if (runningIds.length > 0) return false;
  if (search === null) {
    beginSearch(turn);
    return true;
  }
  if (search.lookCount > 0 || liveIds(cluster).length === 0) {
    turn.set({ search: null });
    beginCommands(turn, cluster, task.intent);
    return true;
  }
  return lookNow(turn, cluster);
}

/** Who takes over is chosen before a command is told. */
function beginCommands(turn: Turn, cluster: ClusterState, intent: Intent): void {
  if (isChoiceDue(turn, intent)) return setStage(turn, "choosing");
  setStage(turn, "commands");
  return beginComparison(turn, cluster, intent);
}

function advanceCommands(turn: Turn, cluster: ClusterState, task: Task): boolean {
  const { settings, runningIds, follow } = turn.state;
  const { intent, progress } = task;
  const template = intent.kind === "attach" ? settings.failbackCommand : settings.failoverCommand;
  const backendId = intent.backendIds[progress.doneCount];
  const hasCommand = intent.kind !== "promote" && template !== "";
  if (!hasCommand || backendId === undefined) {
    endCommands(turn, cluster, task);
    return true;
  }
  // The command that runs, or one of a leadership that we lost meanwhile.
  if (runningIds.some((id) => id !== follow?.commandId)) return false;
  const run = startCommand(turn, {
    kind: intent.kind === "attach" ? "failback" : "failover",
    template,
    backendId,
    event: intent,
    newMainId: intent.newMainId,
    attempt: progress.retryCount + 1,
  });
  turn.set({ task: { ...task, run } });
  return false;
}

/** All commands have been run: a promotion has to show, all else is done. */
function endCommands(turn: Turn, cluster: ClusterState, task: Task): void {
  const { intent, progress } = task;
  if (!replacesPrimary(intent)) return setStage(turn, "finishing");
  if (liveIds(cluster).length > 0) {
    turn.log("find_primary_node_repeatedly: waiting for finding a primary node");
  }
  const promotions = progress.commands.filter(({ backendId }) => promotes(intent, backendId));
  const last = promotions.at(-1);
  const isHopeless = last !== undefined && hasFailed(last);
  const failedMs = intent.kind === "switchover" ? FAILED_SWITCHOVER_SEARCH_MS : FAILED_SEARCH_MS;
  beginSearch(turn, isHopeless ? failedMs : null);
  setStage(turn, "searching");
  // At once, while what was done is still being recorded.
  if (liveIds(cluster).length > 0) lookNow(turn, cluster);
  return undefined;
}

/** The command for this backend is the one that gives the cluster a new primary. */
function promotes(intent: Intent, backendId: number): boolean {
  const { oldPrimaryId } = intent;
  return replacesPrimary(intent) && (oldPrimaryId === null || oldPrimaryId === backendId);
}

/** A new primary has to show; a mere promotion takes the caller's word for it. */
function replacesPrimary({ kind, primaryChanges }: Intent): boolean {
  return primaryChanges && (kind === "detach" || kind === "switchover");
}

export function onTaskCommandFinished(
  turn: Turn,
  task: Task,
  event: Extract<ConductorEvent, { readonly type: "command-finished" }>,
): CommandRecord {
  const { settings, cluster } = turn.state;
  const { intent, run } = task;
  const { doneCount, retryCount } = task.progress;
  const backendId = intent.backendIds[doneCount];
  assert(run !== null && backendId !== undefined, "a command belongs to a backend");
  assert(cluster !== null, "an intent stands in a committed state");
  const kind = intent.kind === "attach" ? "failback" : "failover";
  const record = recordOf(turn, run, { kind, backendId, epoch: intent.epoch }, event);
  const commands = [...task.progress.commands, record].slice(-HISTORY_COMMANDS_MAX);
  const ended: Task = {
    ...task,
    run: null,
    progress: { ...task.progress, commands },
    isRecorded: false,
  };
  if (hasFailed(record) && promotes(intent, backendId) && retryCount < settings.commandRetriesMax) {
    beginSearch(turn, RETRY_COMMAND_AFTER_MS * 2 ** retryCount);
    turn.set({ task: { ...ended, stage: "retrying" } });
    if (liveIds(cluster).length > 0) lookNow(turn, cluster);
  } else {
    goOn(turn, cluster, ended);
  }
  return record;
}

/** The backend's command is over, whatever became of it. */
function goOn(turn: Turn, cluster: ClusterState, task: Task): void {
  const doneCount = task.progress.doneCount + 1;
  const progress = { ...task.progress, doneCount, retryCount: 0 };
  const next: Task = { ...task, progress, isRecorded: false };
  turn.set({ task: { ...next, stage: "commands" }, search: null });
  if (doneCount === task.intent.backendIds.length) endCommands(turn, cluster, next);
}

/**
 * The command that was to bring a new primary has failed. It may have promoted one all the same;
 * if none shows until its time has come, it is run again.
 */
function advanceRetrying(turn: Turn, cluster: ClusterState, task: Task): boolean {
  const { search, settings } = turn.state;
  assert(search !== null, "whoever waits for another attempt looks meanwhile");
  const hasLooked = search.lookCount > 0 && search.searchId === null;
  if (liveIds(cluster).length === 0 || (hasLooked && isSearchOvertaken(turn, task.intent))) {
    goOn(turn, cluster, task);
    return true;
  }
  const isTime = search.deadlineMs !== null && turn.nowMs >= search.deadlineMs;
  // What the command did may show late: the last look is from just before the next attempt.
  if (!hasLooked || !isTime || turn.nowMs >= search.nextAtMs) return lookNow(turn, cluster);
  const retryCount = task.progress.retryCount + 1;
  turn.log(
    `failover_command is run again: attempt ${retryCount + 1} of ${settings.commandRetriesMax + 1}`,
  );
  const progress = { ...task.progress, retryCount };
  const again = { progress, isRecorded: false, isNewEpoch: true, isInherited: false };
  turn.set({ search: null, task: { ...task, ...again, stage: "settling" } });
  return true;
}

function advanceSearching(turn: Turn, cluster: ClusterState, task: Task): boolean {
  const { search } = turn.state;
  assert(search !== null, "searching has a search");
  if (liveIds(cluster).length === 0) {
    turn.log(
      "find_primary_node_repeatedly: all of the backends are down. " +
        "Giving up finding primary node",
    );
    return endSearch(turn, task);
  }
  if (search.deadlineMs !== null && turn.nowMs >= search.deadlineMs) {
    turn.log("failover: no primary was found in time", "warning");
    return endSearch(turn, task);
  }
  if (search.lookCount > 0 && search.searchId === null && isSearchOvertaken(turn, task.intent)) {
    return endSearch(turn, task);
  }
  return lookNow(turn, cluster);
}

/** Looks, if it is time; true when the configuration itself names the primary. */
function lookNow(turn: Turn, cluster: ClusterState): boolean {
  const known = look(turn, cluster);
  if (known === null) return false;
  turn.set({ search: null });
  setStage(turn, "finishing", { found: known });
  return true;
}

/**
 * The server that should have taken over is lost too, or somebody brings one back: waiting on
 * for a promotion that will not come would only keep the next step from being taken.
 */
function isSearchOvertaken(turn: Turn, intent: Intent): boolean {
  return turn.state.queue.some(
    ({ request: { kind, backendIds } }) =>
      kind === "attach" ||
      (kind === "detach" && intent.newMainId !== null && backendIds.includes(intent.newMainId)),
  );
}

function endSearch(turn: Turn, task: Task): boolean {
  if (mayRefute(turn, task)) {
    beginRefuting(turn, task);
    return true;
  }
  turn.set({ search: null, task: { ...task, found: null, stage: "finishing" } });
  return true;
}
