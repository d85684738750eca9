/**
 * Carries out failovers, failbacks and promotions, one at a time in the whole cluster. Every node
 * runs one; only the leader's acts. What is under way stands in the committed state, not here:
 *
 *     granted ─> plan ─> propose intent ─> committed ─> settled ─> run commands ─> find the primary
 *             ─> propose the outcome ─> committed ─> follow_primary_command, one backend after another
 *
 * A leader acts on an intent only in a state that it proposed itself since it leads, and so takes
 * an inherited one over by proposing it again: a state that is no longer the newest is refused.
 */
import { assert, fail, unreachable, type Core, type Ms, type Step } from "../../../base/index.ts";
import type { ClusterRequest } from "../../../wire/ipc/index.ts";
import {
  isSameRequest,
  plainEntry,
  REASON_MAX,
  VOTES_MAX,
  withConfiguredBackends,
  withHistory,
  type ClusterState,
  type CommandRecord,
} from "../status/index.ts";
import { isSameSet } from "../synchronous/index.ts";
import type { ConductorAction, ConductorEvent } from "./conductor-events.ts";
import { QUEUE_MAX, Turn, type ConductorState, type QueuedRequest } from "./conductor-state.ts";
import { choosingWakeAtMs, onCandidatesAnswered } from "./choosing.ts";
import { advanceIntent, onTaskCommandFinished } from "./carry-out.ts";
import { onCommitted } from "./committed.ts";
import { advanceFollow } from "./follow.ts";
import { isHeldBack, proposeMaintenance } from "./maintenance.ts";
import {
  beginPreparation,
  isSwitchoverRequest,
  onPrepared,
  planSwitchover,
  proposeRefusal,
  type SwitchoverRequest,
} from "./plan-switchover.ts";
import { onDemoteFinished, onWatched, switchingWakeAtMs } from "./switchover.ts";
import { planFailover, type IntentRequest } from "./plan-failover.ts";
import { noteQuarantine, proposeQuarantines, quarantinesWakeAtMs } from "./quarantines.ts";
import {
  advanceRecovery,
  endLapsedRecovery,
  onRecoveryEvent,
  onRecoveryLeadership,
  proposeRecovery,
  recoveryWakeAtMs,
} from "./recovery.ts";
import { recordOf } from "./run-command.ts";
import { proposeRenewed } from "./renewed.ts";
import {
  advanceIdleSearch,
  isStartupSearch,
  onPrimaryFound,
  searchWakeAtMs,
} from "./search-primary.ts";
import { commandFailure } from "./wording.ts";

type Event<Type> = Extract<ConductorEvent, { readonly type: Type }>;

/** A refused proposal is made again after this, unless a newer state comes first. */
const RETRY_AFTER_MS = 100;
/** More moves than this in one step mean that two of them undo each other. */
const MOVES_MAX = 50;

export const conductor: Core<ConductorState, ConductorEvent, ConductorAction> = {
  step(state, event, nowMs): Step<ConductorState, ConductorAction> {
    const turn = new Turn(state, nowMs);
    take(turn, event);
    let moveCount = 0;
    while (advance(turn)) assert((moveCount += 1) <= MOVES_MAX, "a conductor's moves must end");
    return { state: turn.state, actions: turn.actions };
  },

  wakeAtMs(state): Ms | null {
    if (!state.leads) return recoveryWakeAtMs(state);
    if (state.proposal !== null) return null;
    const { retryAtMs } = state;
    const choosingAtMs = state.task === null ? null : choosingWakeAtMs(state.task);
    const lookAtMs = earliest(
      choosingAtMs ?? searchWakeAtMs(state) ?? switchingWakeAtMs(state),
      earliest(quarantinesWakeAtMs(state), recoveryWakeAtMs(state)),
    );
    if (retryAtMs === null) return lookAtMs;
    return lookAtMs === null ? retryAtMs : Math.max(retryAtMs, lookAtMs);
  },
};

function earliest(one: Ms | null, other: Ms | null): Ms | null {
  if (one === null || other === null) return one ?? other;
  return Math.min(one, other);
}

function take(turn: Turn, event: ConductorEvent): void {
  switch (event.type) {
    case "leadership":
      return onLeadership(turn, event);
    case "committed":
      return onCommitted(turn, event);
    case "settled":
      return turn.set({ settledIndex: Math.max(turn.state.settledIndex, event.index) });
    case "granted":
      return onGranted(turn, event);
    case "proposal-refused":
      if (event.id !== turn.state.proposal?.id) return undefined;
      return turn.set({ proposal: null, retryAtMs: turn.nowMs + RETRY_AFTER_MS });
    case "command-finished":
      return onCommandFinished(turn, event);
    case "primary-found":
      return onPrimaryFound(turn, event);
    case "recovery-stage":
    case "recovery-ended":
      return onRecoveryEvent(turn, event);
    case "switchover-prepared":
      return onPrepared(turn, event);
    case "watched":
      return onWatched(turn, event);
    case "candidates-answered":
      return onCandidatesAnswered(turn, event);
    case "synchronous-seen": {
      const { primaryId, set } = event;
      return turn.set({ seenSynchronous: { primaryId, set } });
    }
    case "renewed": {
      const { primaryId, identity } = event;
      return turn.set({ renewed: { primaryId, identity } });
    }
    case "configured":
      return turn.set({ settings: event.settings });
    case "tick":
      return endLapsedRecovery(turn);
  }
  return unreachable(event);
}

/** One move, if one is due now. */
function advance(turn: Turn): boolean {
  const { leads, index, cluster, proposal, retryAtMs, initial, isOwn } = turn.state;
  if (!leads || index === null || proposal !== null) return false;
  if (retryAtMs !== null && turn.nowMs < retryAtMs) return false;
  if (cluster === null) {
    turn.propose("initial", initial);
    return true;
  }
  // Whoever led before may have left work, and may have finished it without our knowing yet.
  const hasWork = cluster.intent !== null || cluster.follow !== null;
  if (hasWork && !isOwn) {
    turn.propose("adopt", adopted(cluster));
    return true;
  }
  if (advanceRecovery(turn, cluster)) return true;
  if (cluster.intent !== null) return advanceIntent(turn, cluster, cluster.intent);
  if (proposeConfigured(turn, cluster)) return true;
  // Before the primary can be found lost: who may take over then follows from it.
  if (proposeSynchronous(turn, cluster) || proposeRenewed(turn, cluster)) return true;
  const request = turn.state.queue[0];
  if (request !== undefined) return advanceQueue(turn, cluster, request);
  if (proposeQuarantines(turn, cluster)) return true;
  if (cluster.follow !== null) return advanceFollow(turn, cluster, cluster.follow);
  return advanceIdleSearch(turn, cluster);
}

/** What a leader before us has begun, in an epoch of our own: none of its commands has that. */
function adopted(cluster: ClusterState): ClusterState {
  const { intent, follow } = cluster;
  const epoch = cluster.epoch + 1;
  if (intent !== null) return { ...cluster, epoch, intent: { ...intent, epoch } };
  return { ...cluster, epoch, follow: follow === null ? null : { ...follow, epoch } };
}

/** False: the state has the servers of the configuration already. */
function proposeConfigured(turn: Turn, cluster: ClusterState): boolean {
  const wanted = turn.state.settings.backends.map(({ id }) => id);
  const configured = withConfiguredBackends(cluster, wanted, turn.wallMs);
  if (configured === cluster) return false;
  const present = cluster.backends.map(({ id }) => id);
  const added = wanted.filter((id) => !present.includes(id));
  const removed = present.filter((id) => !wanted.includes(id));
  const changes = [
    ...(added.length > 0 ? [`new: ${added.join(", ")}`] : []),
    ...(removed.length > 0 ? [`gone: ${removed.join(", ")}`] : []),
  ];
  const entry = plainEntry({
    ...turn.eventAt(configured.epoch),
    kind: "configured",
    backendIds: [...added, ...removed],
    reason: `the configuration has other backends, ${changes.join("; ")}`,
    oldPrimaryId: cluster.primaryId,
    newPrimaryId: configured.primaryId,
  });
  turn.propose("configured", withHistory(configured, entry));
  return true;
}

/** False: what is published is what was seen last. */
function proposeSynchronous(turn: Turn, cluster: ClusterState): boolean {
  const seen = turn.state.seenSynchronous;
  if (seen === null || seen.primaryId !== cluster.primaryId) return false;
  if (isSameSet(seen.set, cluster.synchronous)) return false;
  turn.propose("synchronous", { ...cluster, synchronous: seen.set });
  return true;
}

/** The first request leaves the queue when what it asks for is committed, or when it is refused. */
function advanceQueue(turn: Turn, cluster: ClusterState, first: QueuedRequest): boolean {
  if (!proposeRequest(turn, cluster, first)) turn.set({ queue: turn.state.queue.slice(1) });
  return true;
}

/** False: nothing is to be done for it, which was said. */
function proposeRequest(turn: Turn, cluster: ClusterState, first: QueuedRequest): boolean {
  const { origin, settings } = turn.state;
  const { request, grantedAt, votes } = first;
  if (request.kind === "recover") {
    proposeRecovery(turn, cluster, request);
    return true;
  }
  if (isSwitchoverRequest(request)) {
    proposeSwitchover(turn, cluster, request, first);
    return true;
  }
  if (!isIntentRequest(request)) return proposeMaintenance(turn, cluster, request);
  if (isHeldBack(turn, cluster, request)) return false;
  const eventId = `${origin}-${cluster.epoch + 1}`;
  const stamp = { eventId, atWallMs: turn.wallMs, grantedAt, votes };
  const plan = planFailover(cluster, request, settings, stamp);
  if (!plan.ok) {
    turn.log(plan.error);
    return false;
  }
  turn.set({ search: null });
  turn.propose("intent", plan.value.state);
  return true;
}

function proposeSwitchover(
  turn: Turn,
  cluster: ClusterState,
  request: SwitchoverRequest,
  first: QueuedRequest,
): void {
  const { grantedAt, votes, refusal } = first;
  const stamp = { eventId: request.switchover.id, atWallMs: turn.wallMs, grantedAt, votes };
  const plan = refusal === undefined ? planSwitchover(cluster, request, stamp) : fail(refusal);
  if (!plan.ok) return proposeRefusal(turn, cluster, first, plan.error);
  turn.set({ search: null });
  return turn.propose("intent", plan.value.state);
}

function isIntentRequest(request: ClusterRequest): request is IntentRequest {
  const { kind } = request;
  return kind === "detach" || kind === "attach" || kind === "promote";
}

function onLeadership(turn: Turn, event: Event<"leadership">): void {
  turn.set({ wallOffsetMs: event.wallMs - turn.nowMs });
  if (event.leads === turn.state.leads) return;
  const leadsSinceMs = turn.nowMs;
  turn.set({ leads: event.leads, leadsSinceMs, isOwn: false, proposal: null, retryAtMs: null });
  onRecoveryLeadership(turn, event.leads);
  if (event.leads) return;
  // A command that runs on could meet the one that the next leader starts.
  for (const commandId of turn.state.runningIds) {
    turn.act({ type: "stop-command", commandId, how: "kill" });
  }
  for (const { request } of turn.state.queue) {
    turn.log(`${describe(request)} is dropped: this node no longer leads the cluster`);
  }
  turn.act({ type: "end-watch" });
  turn.set({
    queue: [],
    quarantineNews: [],
    preparation: null,
    seenSynchronous: null,
    renewed: null,
    task: null,
    search: null,
    follow: null,
  });
}

function onGranted(turn: Turn, event: Event<"granted">): void {
  const { request } = event;
  turn.set({ wallOffsetMs: event.wallMs - turn.nowMs });
  const { leads, queue } = turn.state;
  if (request.kind === "quarantine" || request.kind === "release") {
    noteQuarantine(turn, request, event.votes?.at(-1)?.nodeId ?? null);
  } else if (!leads) {
    turn.log(`${describe(request)} is ignored: this node does not lead the cluster`);
  } else if (
    queue.some((one) => isSameRequest(one.request, request)) ||
    isUnderWay(turn, request)
  ) {
    turn.log(`${describe(request)} is already under way`);
  } else if (request.kind === "detach" && !request.confirmed && isStartupSearch(turn)) {
    turn.log("ignoring the failover request, since we are still starting up");
  } else if (queue.length === QUEUE_MAX) {
    turn.log(`${describe(request)} is dropped: ${QUEUE_MAX} requests wait already`, "warning");
  } else {
    const grantedAt = turn.wallMs;
    const votes = (event.votes ?? []).slice(-VOTES_MAX).map(({ nodeId, agoMs, reason }) => ({
      nodeId,
      at: Math.round(grantedAt - agoMs),
      reason: reason.slice(0, REASON_MAX),
    }));
    const queued = { request, grantedAt, votes };
    if (!isSwitchoverRequest(request)) turn.set({ queue: [...queue, queued] });
    else if (!beginPreparation(turn, queued)) {
      // Whoever asked for it waits to hear of it, on whichever node.
      const refusal = "another switchover is under way";
      turn.set({ queue: [...queue, { ...queued, refusal }] });
    }
  }
}

/** The intent that is being carried out does all that the request asks for. */
function isUnderWay(turn: Turn, request: ClusterRequest): boolean {
  const intent = turn.state.cluster?.intent;
  if (intent === null || intent === undefined) return false;
  if (intent.kind === "switchover") return isStoppedOnPurpose(turn, request);
  if (intent.kind !== request.kind) return false;
  return request.backendIds.every((id) => intent.backendIds.includes(id));
}

/** The old primary of a switchover goes because it was told to. */
function isStoppedOnPurpose({ state: { task } }: Turn, request: ClusterRequest): boolean {
  if (request.kind !== "detach" || request.confirmed || task === null) return false;
  const { intent, switching } = task;
  const isTold = intent.switchover?.phase !== "draining" || switching?.stage === "stopping";
  return isTold && request.backendIds.every((id) => intent.backendIds.includes(id));
}

function describe(request: ClusterRequest): string {
  if (request.backendIds.length === 0) return `${request.kind} request`;
  return `${request.kind} request for node ${request.backendIds.join(", ")}`;
}

function onCommandFinished(turn: Turn, event: Event<"command-finished">): void {
  const { runningIds, task, follow, cluster } = turn.state;
  turn.set({ runningIds: runningIds.filter((id) => id !== event.commandId) });
  const report = (record: CommandRecord): void => {
    const failure = commandFailure(record);
    if (failure !== null) turn.log(failure.message, "warning", failure.detail);
  };
  if (task?.run?.commandId === event.commandId) {
    const onFinished = task.switching === null ? onTaskCommandFinished : onDemoteFinished;
    report(onFinished(turn, task, event));
  } else if (follow !== null && follow.commandId === event.commandId) {
    const { backendId } = follow;
    const epoch = cluster?.follow?.epoch ?? 0;
    const record = recordOf(turn, follow, { kind: "follow-primary", backendId, epoch }, event);
    report(record);
    turn.set({ follow: { ...follow, record } });
  }
}
