/** What follows for the leader when a state stands committed, one of its own above all. */
import { assert, unreachable } from "../../../base/index.ts";
import { liveIds, mainId, type ClusterState, type Intent } from "../status/index.ts";
import { newTask } from "./carry-out.ts";
import type { ConductorEvent } from "./conductor-events.ts";
import type { Proposal, Turn } from "./conductor-state.ts";
import { forgetCommittedNews } from "./quarantines.ts";
import {
  onRecoveryBegun,
  onRecoveryCommitted,
  onRecoveryProposed,
  onRecoveryTakenUp,
} from "./recovery.ts";
import { doneText, failedText, startingText } from "./wording.ts";

export function onCommitted(
  turn: Turn,
  event: Extract<ConductorEvent, { readonly type: "committed" }>,
): void {
  const { index, proposal, task, leads } = turn.state;
  if (index !== null && event.index <= index) return;
  const isOwn = proposal !== null && event.state?.stamp === proposal.state.stamp;
  turn.set({
    index: event.index,
    cluster: event.state,
    isOwn: leads && isOwn,
    proposal: null,
    retryAtMs: null,
  });
  onRecoveryCommitted(turn, event.state);
  if (isOwn) onOwnCommitted(turn, proposal);
  else if (task !== null && event.state?.intent?.eventId !== task.intent.eventId) {
    const { run } = task;
    if (run !== null) turn.act({ type: "stop-command", commandId: run.commandId, how: "kill" });
    if (task.switching !== null) turn.act({ type: "end-watch" });
    turn.set({ task: null, search: null });
  }
}

function onOwnCommitted(turn: Turn, { purpose, state: cluster }: Proposal): void {
  const { settings, task } = turn.state;
  switch (purpose) {
    case "intent": {
      const { intent } = cluster;
      assert(intent !== null, "an intent was proposed");
      turn.set({ queue: turn.state.queue.slice(1), task: newTask(turn, intent, false) });
      turn.note("committed");
      for (const id of intent.backendIds) turn.log(startingText(settings, intent.kind, id));
      if (mainId(cluster) === null) turn.log("failover: no valid backend node found");
      return;
    }
    case "progress": {
      const { intent } = cluster;
      assert(task !== null && intent !== null, "an intent goes on");
      const isNewEpoch = intent.epoch !== task.intent.epoch;
      const index = isNewEpoch ? (turn.state.index ?? task.index) : task.index;
      turn.set({ task: { ...task, intent, index, isRecorded: true, isNewEpoch: false } });
      return;
    }
    case "finish":
      assert(task !== null, "a task was finished");
      turn.set({ task: null, search: null });
      tellEnd(turn, cluster, task.intent);
      return;
    case "quarantine":
      forgetCommittedNews(turn);
      return;
    case "refused":
      turn.set({ queue: turn.state.queue.slice(1) });
      return;
    case "maintenance":
      turn.set({ queue: turn.state.queue.slice(1), heldBack: new Map() });
      return;
    case "begin-recovery":
      return onRecoveryBegun(turn, cluster);
    case "take-up-recovery":
      return onRecoveryTakenUp(turn, cluster);
    case "recovery":
      return onRecoveryProposed(turn, cluster);
    case "follow":
      turn.set({ follow: null });
      return;
    case "primary":
      turn.set({ search: null });
      return;
    case "synchronous":
    case "renewed":
    case "initial":
    case "configured":
    case "adopt":
      return;
  }
  unreachable(purpose);
}

function tellEnd(turn: Turn, cluster: ClusterState, { kind, backendIds }: Intent): void {
  const { settings } = turn.state;
  turn.log(`failover: set new primary node: ${cluster.primaryId ?? -1}`);
  if (liveIds(cluster).length > 0) {
    turn.log(`failover: set new main node: ${mainId(cluster) ?? -1}`);
  }
  const entry = cluster.history.at(-1);
  for (const id of backendIds) {
    if (entry?.outcome === "failed")
      turn.log(failedText(settings, kind, id), "warning", entry.problem);
    else turn.log(doneText(settings, kind, id));
  }
}
