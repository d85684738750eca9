/** What is done for an intent that stands committed, and for the follow-ups of a new primary. */
import { assert, unreachable } from "../../../base/index.ts";
import {
  liveIds,
  withBackends,
  withHistory,
  withLateCommand,
  type ClusterState,
  type CommandKind,
  type CommandRecord,
  type Follow,
  type Intent,
} from "../status/index.ts";
import { formatCommand } from "./command-text.ts";
import type { Task, Turn } from "./conductor-state.ts";
import { beginSearch, FIRST_LOOK_AFTER_MS, look } from "./search-primary.ts";
import { backendOf, followDetachText, followStartingText } from "./wording.ts";

/** @param isInherited a leader before us began it. */
export function newTask(turn: Turn, intent: Intent, isInherited: boolean): Task {
  const { index } = turn.state;
  assert(index !== null, "an intent stands in a committed state");
  const stage = "settling";
  return {
    intent,
    index,
    isInherited,
    stage,
    commandId: null,
    doneCount: 0,
    commands: [],
    found: null,
  };
}

/** One move for the intent of `cluster`, which is our own proposal. */
export function advanceIntent(turn: Turn, cluster: ClusterState, intent: Intent): boolean {
  const { task, follow, settledIndex } = turn.state;
  if (task === null || task.intent.eventId !== intent.eventId) {
    turn.log(`taking over the unfinished ${intent.kind} of node ${intent.backendIds.join(", ")}`);
    turn.set({ task: newTask(turn, intent, true), search: null });
    return true;
  }
  switch (task.stage) {
    case "settling": {
      if (settledIndex < task.index) return false;
      // Its command may have done its work before the leader of that time was lost.
      const maySee = task.isInherited && intent.kind === "detach" && intent.primaryChanges;
      turn.set({ task: { ...task, stage: maySee ? "probing" : "commands" } });
      return true;
    }
    case "probing":
      return advanceProbing(turn, cluster, task);
    case "commands":
      // The followers of a primary that is lost have nobody to follow.
      if (follow !== null && intent.primaryChanges) return stopFollow(turn);
      return advanceCommands(turn, cluster, task);
    case "searching":
      return advanceSearching(turn, cluster, task);
    case "finishing":
      turn.propose("finish", finishedState(turn, cluster, task));
      return true;
  }
  return unreachable(task.stage);
}

/** One look: when a primary shows, the command is not run again. */
function advanceProbing(turn: Turn, cluster: ClusterState, task: Task): boolean {
  const { search, runningIds } = turn.state;
  // One of our own, from a leadership that we lost meanwhile, may still be ending.
  if (runningIds.length > 0) return false;
  if (search === null) {
    beginSearch(turn, 0);
    return true;
  }
  if (search.lookCount > 0 || liveIds(cluster).length === 0) {
    turn.set({ search: null, task: { ...task, stage: "commands" } });
    return true;
  }
  const known = look(turn, cluster);
  if (known === null) return false;
  turn.set({ search: null, task: { ...task, found: known, stage: "finishing" } });
  return true;
}

function advanceCommands(turn: Turn, cluster: ClusterState, task: Task): boolean {
  const { settings, runningIds, follow } = turn.state;
  const { intent } = task;
  const template = intent.kind === "detach" ? settings.failoverCommand : settings.failbackCommand;
  const backendId = intent.backendIds[task.doneCount];
  const hasCommand = intent.kind !== "promote" && template !== "";
  if (hasCommand && backendId !== undefined) {
    // The command that runs, or one of a leadership that we lost meanwhile.
    if (runningIds.some((id) => id !== follow?.commandId)) return false;
    const kind = intent.kind === "detach" ? "failover" : "failback";
    const commandId = startCommand(turn, kind, template, backendId, intent, intent.newMainId);
    turn.set({ task: { ...task, commandId } });
    return false;
  }
  const isSearched = intent.kind === "detach" && intent.primaryChanges;
  turn.set({ task: { ...task, stage: isSearched ? "searching" : "finishing" } });
  if (!isSearched) return true;
  if (liveIds(cluster).length > 0) {
    turn.log("find_primary_node_repeatedly: waiting for finding a primary node");
  }
  beginSearch(turn, FIRST_LOOK_AFTER_MS);
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
    turn.log("failover: no primary was found in search_primary_node_timeout", "warning");
    return endSearch(turn, task);
  }
  if (search.lookCount > 0 && search.searchId === null && isSearchOvertaken(turn, task.intent)) {
    return endSearch(turn, task);
  }
  const known = look(turn, cluster);
  if (known === null) return false;
  turn.set({ search: null, task: { ...task, found: known, stage: "finishing" } });
  return true;
}

/**
 * The server that should have taken over is lost too, or somebody brings one back: waiting on
 * for a promotion that will not come would only keep the next step from being taken.
 */
function isSearchOvertaken(turn: Turn, intent: Intent): boolean {
  return turn.state.queue.some(
    ({ kind, backendIds }) =>
      kind === "attach" ||
      (kind === "detach" && intent.newMainId !== null && backendIds.includes(intent.newMainId)),
  );
}

function endSearch(turn: Turn, task: Task): boolean {
  turn.set({ search: null, task: { ...task, found: null, stage: "finishing" } });
  return true;
}

export function onTaskCommandFinished(
  turn: Turn,
  task: Task,
  end: Pick<CommandRecord, "exitCode" | "signal" | "outputTail">,
): CommandRecord {
  const { intent, doneCount } = task;
  const backendId = intent.backendIds[doneCount];
  assert(backendId !== undefined, "a command belongs to a backend");
  const kind = intent.kind === "attach" ? "failback" : "failover";
  const record: CommandRecord = { kind, backendId, ...end };
  const commands = [...task.commands, record];
  turn.set({ task: { ...task, commandId: null, doneCount: doneCount + 1, commands } });
  return record;
}

/** The state when all is done: intent cleared, history written, followers set down if asked for. */
function finishedState(turn: Turn, cluster: ClusterState, task: Task): ClusterState {
  const { intent, found } = task;
  const { settings } = turn.state;
  const primaryId = newPrimaryId(cluster, task);
  const base = withHistory(
    {
      ...cluster,
      epoch: cluster.epoch + 1,
      primaryId,
      identity: found?.identity ?? cluster.identity,
      intent: null,
      follow: intent.primaryChanges ? null : cluster.follow,
    },
    {
      epoch: intent.epoch,
      eventId: intent.eventId,
      kind: intent.kind,
      backendIds: intent.backendIds,
      reason: intent.reason,
      oldPrimaryId: intent.oldPrimaryId,
      newPrimaryId: primaryId,
      startedAt: intent.startedAt,
      endedAt: turn.wallMs,
      commands: task.commands,
    },
  );
  const hasFollowers = intent.primaryChanges && primaryId !== null;
  const isAsked = settings.followPrimaryCommand !== "" || intent.kind === "promote";
  return hasFollowers && isAsked ? withFollowers(turn, base, task, primaryId) : base;
}

function newPrimaryId(cluster: ClusterState, { intent, found }: Task): number | null {
  if (!intent.primaryChanges) return cluster.primaryId;
  return intent.kind === "promote" ? intent.newMainId : (found?.primaryId ?? null);
}

/**
 * Every server but the new primary is set down; the command runs for each, those that were down
 * before included, and brings them back by attaching them.
 */
function withFollowers(
  turn: Turn,
  cluster: ClusterState,
  { intent }: Task,
  primaryId: number,
): ClusterState {
  const { settings } = turn.state;
  const liveFollowerIds = liveIds(cluster).filter((id) => id !== primaryId);
  for (const id of liveFollowerIds) turn.log(followDetachText(settings, id));
  const reason = `has to follow the new primary ${primaryId}`;
  const changedAt = turn.wallMs;
  const down = withBackends(cluster, liveFollowerIds, { state: "down", reason, changedAt });
  const remainingIds = down.backends.filter(({ id }) => id !== primaryId).map(({ id }) => id);
  if (settings.followPrimaryCommand === "" || remainingIds.length === 0) return down;
  const { epoch, eventId, oldPrimaryId, oldMainId } = intent;
  return { ...down, follow: { epoch, eventId, oldPrimaryId, oldMainId, remainingIds } };
}

/** One move for the servers that have to follow a new primary. */
export function advanceFollow(turn: Turn, cluster: ClusterState, follow: Follow): boolean {
  const { settings, follow: run, runningIds } = turn.state;
  if (run !== null && run.record === null) return false;
  if (run !== null && run.record !== null) {
    const remainingIds = follow.remainingIds.filter((id) => id !== run.backendId);
    const rest = remainingIds.length === 0 ? null : { ...follow, remainingIds };
    turn.propose("follow", {
      ...withLateCommand(cluster, follow.eventId, run.record),
      follow: rest,
    });
    return true;
  }
  if (runningIds.length > 0) return false;
  const { primaryId } = cluster;
  const isDue = (id: number): boolean =>
    id !== primaryId && cluster.backends.some((one) => one.id === id && one.state === "down");
  const backendId = follow.remainingIds.find(isDue);
  if (backendId === undefined || settings.followPrimaryCommand === "" || primaryId === null) {
    turn.propose("follow", { ...cluster, follow: null });
    return true;
  }
  // That of the leader before us may not have ended yet: it has when nobody is left behind.
  const { index, settledIndex } = turn.state;
  if (index === null || settledIndex < index) return false;
  turn.log(followStartingText(settings, backendId));
  const commandId = startCommand(
    turn,
    "follow-primary",
    settings.followPrimaryCommand,
    backendId,
    follow,
    primaryId,
  );
  turn.set({ follow: { commandId, backendId, isStopping: false, record: null } });
  return false;
}

/** Goes on when its end has been reported. */
function stopFollow(turn: Turn): boolean {
  const { follow, runningIds } = turn.state;
  assert(follow !== null, "a follower runs");
  if (!runningIds.includes(follow.commandId)) {
    turn.set({ follow: null });
    return true;
  }
  if (!follow.isStopping) {
    turn.act({ type: "stop-command", commandId: follow.commandId, how: "ask" });
    turn.set({ follow: { ...follow, isStopping: true } });
  }
  return false;
}

function startCommand(
  turn: Turn,
  kind: CommandKind,
  template: string,
  backendId: number,
  event: Pick<Intent, "epoch" | "eventId" | "oldPrimaryId" | "oldMainId">,
  newMainId: number | null,
): number {
  const { settings } = turn.state;
  const backend = backendOf(settings, backendId) ?? unknownBackend(backendId);
  const text = formatCommand(template, {
    backend,
    newMain: backendOf(settings, newMainId),
    oldMainId: event.oldMainId,
    oldPrimary: backendOf(settings, event.oldPrimaryId),
    oldPrimaryId: event.oldPrimaryId,
  });
  const commandId = turn.takeId();
  turn.log(`execute command: ${text}`);
  turn.act({
    type: "run-command",
    commandId,
    kind,
    backendId,
    text,
    env: { PGQUORUM_EPOCH: String(event.epoch), PGQUORUM_EVENT_ID: event.eventId },
  });
  turn.set({ runningIds: [...turn.state.runningIds, commandId] });
  return commandId;
}

/** Left the configuration while its failover runs. */
function unknownBackend(id: number): Parameters<typeof formatCommand>[1]["backend"] {
  return {
    id,
    hostname: "",
    port: 0,
    dataDirectory: "",
    mayFailover: true,
    alwaysPrimary: false,
  };
}
