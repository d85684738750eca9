/** What the moves of a switchover are made of, forward (`switchover.ts`) and back (`undo-switchover.ts`). */
import { assert, type Ms } from "../../../base/index.ts";
import {
  withBackends,
  type ClusterState,
  type Intent,
  type SwitchoverState,
} from "../status/index.ts";
import type { WatchOrder, WatchOutcome } from "../switchover/index.ts";
import type { Switching, Task, Turn } from "./conductor-state.ts";
import { startCommand } from "./run-command.ts";

export const SWITCHING_BEGINS: Switching = {
  stage: "settling",
  watchId: null,
  outcome: null,
  deadlineMs: null,
  startCount: 0,
  unsureCount: 0,
};

/** From here on it is as when a primary was lost: there is no way back. */
export function handOver(turn: Turn, change: Partial<Task>): void {
  const { task } = turn.state;
  assert(task !== null, "a switchover is carried out");
  turn.act({ type: "end-watch" });
  const stage = change.found === undefined ? "commands" : "finishing";
  turn.set({ task: { ...task, stage, ...change, switching: null } });
}

export function enter(turn: Turn, stage: Switching["stage"]): void {
  const keep = stage === "given-up" ? {} : { outcome: null };
  patch(turn, { stage, watchId: null, deadlineMs: null, ...keep });
}

export function patch(turn: Turn, change: Partial<Switching>): void {
  const { task } = turn.state;
  assert(task !== null && task.switching !== null, "a switchover is carried out");
  turn.set({ task: { ...task, switching: { ...task.switching, ...change } } });
}

/** Begins to watch, unless that was done; the outcome when it is there. */
export function watched(
  turn: Turn,
  switching: Switching,
  what: WatchOrder,
  timeoutMs: Ms | null = null,
): WatchOutcome | null {
  if (switching.outcome !== null) return switching.outcome;
  if (switching.watchId === null) beginWatch(turn, what, timeoutMs);
  return null;
}

export function beginWatch(turn: Turn, what: WatchOrder, timeoutMs: Ms | null): void {
  const watchId = turn.takeId();
  const deadlineMs = timeoutMs === null ? null : turn.nowMs + timeoutMs;
  patch(turn, { watchId, outcome: null, deadlineMs });
  turn.act({ type: "watch", watchId, order: what });
}

export function isLate(turn: Turn): boolean {
  const deadlineMs = turn.state.task?.switching?.deadlineMs ?? null;
  return deadlineMs !== null && turn.nowMs >= deadlineMs;
}

/** Runs demote_command, and ends it when that takes too long. */
export function advanceCommand(
  turn: Turn,
  task: Task,
  action: "stop" | "start",
  limitMs: Ms,
): false {
  const { run } = task;
  if (run === null) return order(turn, action, limitMs);
  if (isLate(turn)) {
    turn.act({ type: "stop-command", commandId: run.commandId, how: "ask" });
    patch(turn, { deadlineMs: null });
  }
  return false;
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
export function lostTarget(turn: Turn, { newMainId }: Intent): string | null {
  const isLost = turn.state.queue.some(
    ({ request: { kind, backendIds } }) =>
      kind === "detach" && newMainId !== null && backendIds.includes(newMainId),
  );
  return isLost ? `node ${newMainId} was lost` : null;
}

/** Known to us alone, until it is recorded. */
export function change(turn: Turn, what: Partial<SwitchoverState>): void {
  const { task } = turn.state;
  const switchover = task?.intent.switchover ?? null;
  assert(task !== null && switchover !== null, "a switchover is carried out");
  const intent = { ...task.intent, switchover: { ...switchover, ...what } };
  turn.set({ task: { ...task, intent } });
}

export function targetOf(turn: Turn): number {
  const id = turn.state.task?.intent.newMainId ?? null;
  assert(id !== null, "a switchover has a target");
  return id;
}

/** There is no primary for the time being; what comes next is decided. */
export function proposePhase(turn: Turn, cluster: ClusterState, switchover: SwitchoverState): void {
  const { task } = turn.state;
  assert(task !== null && task.intent.oldPrimaryId !== null, "a switchover has an old primary");
  const { oldPrimaryId, newMainId } = task.intent;
  const reason = `stopped so that node ${newMainId} takes over`;
  const down = { state: "down", reason, changedAt: turn.wallMs } as const;
  turn.set({ task: { ...task, isNewEpoch: true } });
  const stopped = { ...withBackends(cluster, [oldPrimaryId], down), primaryId: null };
  turn.proposeIntent(stopped, { switchover });
}
