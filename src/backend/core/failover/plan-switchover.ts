/**
 * What happens to the wish for a switchover before it is carried out: everything is checked on the
 * leader, and the old primary writes a checkpoint, while clients go on. Only then is it queued.
 */
import { assert, fail, succeed, type Result } from "../../../base/index.ts";
import type { ClusterRequest, SwitchoverWish } from "../../../wire/ipc/index.ts";
import {
  BY_MAX,
  findBackend,
  isLive,
  mainId,
  NO_PROGRESS,
  plainEntry,
  REASON_MAX,
  withHistory,
  type ClusterState,
  type Intent,
} from "../status/index.ts";
import type { ConductorEvent } from "./conductor-events.ts";
import type { QueuedRequest, Turn } from "./conductor-state.ts";
import type { FailoverPlan, IntentStamp } from "./plan-failover.ts";

export type SwitchoverRequest = ClusterRequest & {
  readonly kind: "switchover";
  readonly switchover: SwitchoverWish;
};

export function isSwitchoverRequest(request: ClusterRequest): request is SwitchoverRequest {
  return request.kind === "switchover" && request.switchover !== undefined;
}

/** False: another one is under way. */
export function beginPreparation(turn: Turn, queued: QueuedRequest): boolean {
  const { preparation, cluster, queue } = turn.state;
  const isUnderWay = cluster?.intent?.kind === "switchover";
  const isQueued = queue.some(
    ({ request, refusal }) => request.kind === "switchover" && refusal === undefined,
  );
  if (preparation !== null || isUnderWay || isQueued) return false;
  const [targetId] = queued.request.backendIds;
  assert(targetId !== undefined, "a switchover has a target");
  const preparationId = turn.takeId();
  turn.set({ preparation: { id: preparationId, queued } });
  turn.act({ type: "prepare-switchover", preparationId, targetId });
  return true;
}

export function onPrepared(
  turn: Turn,
  event: Extract<ConductorEvent, { readonly type: "switchover-prepared" }>,
): void {
  const { preparation, queue } = turn.state;
  if (preparation?.id !== event.preparationId) return;
  const { refusal } = event;
  const queued = { ...preparation.queued, ...(refusal === null ? {} : { refusal }) };
  turn.set({ preparation: null, queue: [...queue, queued] });
}

/** Errors: what has changed since it was prepared. */
export function planSwitchover(
  state: ClusterState,
  request: SwitchoverRequest,
  stamp: IntentStamp,
): Result<FailoverPlan, string> {
  const [targetId = -1] = request.backendIds;
  const { primaryId } = state;
  const target = findBackend(state, targetId);
  if (primaryId === null) return fail("there is no primary to switch from");
  if (targetId === primaryId) return fail(`node ${targetId} is the primary already`);
  if (target === null || !isLive(target)) return fail(`node ${targetId} is not live`);
  if (state.follow !== null) return fail("servers have yet to follow the present primary");
  if (state.recovery !== null) return fail(`node ${state.recovery.backendId} is being recovered`);
  const { id, drainTimeoutMs, onTimeout } = request.switchover;
  const intent: Intent = {
    epoch: state.epoch + 1,
    firstEpoch: state.epoch + 1,
    eventId: id,
    kind: "switchover",
    backendIds: [primaryId],
    reason: request.reason.slice(0, REASON_MAX),
    by: (request.by ?? "").slice(0, BY_MAX),
    oldPrimaryId: primaryId,
    oldMainId: mainId(state),
    newMainId: targetId,
    choice: { by: "asked", doubt: "" },
    primaryChanges: true,
    startedAt: stamp.atWallMs,
    votes: stamp.votes,
    progress: {
      ...NO_PROGRESS,
      steps: [
        { name: "granted", at: stamp.grantedAt },
        { name: "prepared", at: stamp.atWallMs },
      ],
    },
    switchover: { phase: "draining", shutdownLsn: null, drainTimeoutMs, onTimeout, problem: "" },
  };
  return succeed({ intent, state: { ...state, epoch: intent.epoch, intent } });
}

/** Whoever asked for it may ask another node: all of them know by the history. */
export function proposeRefusal(
  turn: Turn,
  cluster: ClusterState,
  { request, grantedAt }: QueuedRequest,
  problem: string,
): void {
  turn.log(`switchover to node ${request.backendIds.join(", ")} is refused: ${problem}`, "warning");
  // The sessions to the servers may be those of another one that is looked at.
  if (turn.state.preparation === null) turn.act({ type: "end-watch" });
  const epoch = cluster.epoch + 1;
  const event = turn.eventAt(epoch);
  const entry = plainEntry({
    ...event,
    eventId: request.switchover?.id ?? event.eventId,
    kind: "switchover",
    backendIds: cluster.primaryId === null ? [] : [cluster.primaryId],
    reason: request.reason,
    by: (request.by ?? "").slice(0, BY_MAX),
    outcome: "failed",
    problem: `refused: ${problem}`,
    oldPrimaryId: cluster.primaryId,
    newPrimaryId: cluster.primaryId,
    startedAt: grantedAt,
  });
  turn.propose("refused", withHistory({ ...cluster, epoch }, entry));
}
