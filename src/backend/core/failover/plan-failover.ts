/**
 * What a request would change, decided from the state alone. The plan is asked for again after
 * every lost proposal, so it never relies on an earlier one.
 */
import { assert, fail, succeed, unreachable, type Result } from "../../../base/index.ts";
import type { ClusterRequest } from "../../../wire/ipc/index.ts";
import {
  BACKENDS_MAX,
  BY_MAX,
  findBackend,
  isLive,
  mainId,
  NO_PROGRESS,
  REASON_MAX,
  withBackends,
  type ClusterState,
  type Intent,
  type IntentKind,
  type VoteRecord,
} from "../status/index.ts";
import type { FailoverSettings } from "./settings.ts";

/** Those that need no preparation. */
type FailoverKind = Exclude<IntentKind, "switchover">;

export type IntentRequest = ClusterRequest & { readonly kind: FailoverKind };

/** What is not to be found in the request. */
export interface IntentStamp {
  readonly eventId: string;
  readonly atWallMs: number;
  readonly grantedAt: number;
  readonly votes: readonly VoteRecord[];
}

export interface FailoverPlan {
  readonly intent: Intent;
  /** What is to be committed before anything is done. */
  readonly state: ClusterState;
}

/**
 * Plans a detach, attach or promotion.
 *
 * Errors: why there is nothing to do, in Pgpool-II's words.
 */
export function planFailover(
  state: ClusterState,
  request: IntentRequest,
  settings: FailoverSettings,
  stamp: IntentStamp,
): Result<FailoverPlan, string> {
  assert(state.intent === null, "one intent at a time");
  if (request.ifEpoch !== undefined && request.ifEpoch !== state.epoch) {
    const ids = request.backendIds.join(", ");
    return fail(`${request.kind} of node ${ids} is dropped: the state has changed since`);
  }
  const checked = checkRequest(state, request, settings);
  if (!checked.ok) return checked;
  const backendIds = checked.value;
  const changed = changeBackends(state, request, backendIds, stamp.atWallMs);
  const switchoverTo = request.kind === "promote" ? (backendIds[0] ?? null) : request.switchoverTo;
  const isPrimaryDetached =
    request.kind === "detach" && (state.primaryId === null || backendIds.includes(state.primaryId));
  const primaryChanges = isPrimaryDetached || request.kind === "promote";
  const intent: Intent = {
    epoch: state.epoch + 1,
    firstEpoch: state.epoch + 1,
    eventId: stamp.eventId,
    kind: request.kind,
    backendIds,
    reason: request.reason.slice(0, REASON_MAX),
    by: (request.by ?? "").slice(0, BY_MAX),
    oldPrimaryId: state.primaryId,
    oldMainId: mainId(state),
    newMainId: switchoverTo ?? mainId(changed),
    choice: switchoverTo === null ? null : { by: "asked", doubt: "" },
    primaryChanges,
    startedAt: stamp.atWallMs,
    votes: stamp.votes,
    progress: { ...NO_PROGRESS, steps: [{ name: "granted", at: stamp.grantedAt }] },
    switchover: null,
  };
  return succeed({
    intent,
    state: {
      ...changed,
      epoch: intent.epoch,
      // Until the new one is found no node may write to the old one.
      primaryId: primaryChanges ? null : state.primaryId,
      intent,
    },
  });
}

function changeBackends(
  state: ClusterState,
  request: IntentRequest,
  backendIds: readonly number[],
  changedAt: number,
): ClusterState {
  const { kind, reason } = request;
  switch (kind) {
    case "detach":
      return withBackends(state, backendIds, { state: "down", reason, changedAt });
    case "attach":
      return withBackends(state, backendIds, { state: "waiting", reason, changedAt });
    case "promote":
      return state;
  }
  return unreachable(kind);
}

/** The ids of the request for which there is something to do. */
function checkRequest(
  state: ClusterState,
  request: IntentRequest,
  settings: FailoverSettings,
): Result<readonly number[], string> {
  let refusal = NOTHING_TO_DO[request.kind];
  const backendIds: number[] = [];
  for (const id of new Set(request.backendIds)) {
    const why = refusalOf(state, request, id, settings);
    if (why === null) backendIds.push(id);
    else refusal = why;
  }
  if (backendIds.length === 0) return fail(refusal);
  if (request.kind === "promote" && backendIds.length > 1) {
    return fail("only one backend can be promoted");
  }
  const target = request.switchoverTo;
  if (target === null || request.kind !== "detach") return succeed(backendIds);
  const candidate = findBackend(state, target);
  if (candidate === null || !isLive(candidate) || backendIds.includes(target)) {
    return fail(`invalid promote backend request, node id : ${target} cannot take over`);
  }
  return succeed(backendIds);
}

const NOTHING_TO_DO: Readonly<Record<FailoverKind, string>> = {
  detach: "failover: no backends are degenerated",
  attach: "failover: no backends are attached",
  promote: "failover: no backends are promoted",
};

function refusalOf(
  state: ClusterState,
  request: IntentRequest,
  id: number,
  settings: FailoverSettings,
): string | null {
  const words = REQUEST_WORDS[request.kind];
  const backend = findBackend(state, id);
  if (backend === null) {
    return (
      `invalid ${words} request, node id: ${id} is out of range. ` +
      `node id must be between [0 and ${BACKENDS_MAX - 1}] and configured`
    );
  }
  const status = statusCode(backend.state);
  switch (request.kind) {
    case "detach": {
      if (!isLive(backend)) {
        return `invalid ${words} request, node id : ${id} status: [${status}] is not valid for failover`;
      }
      const mayFailover = settings.backends.find((one) => one.id === id)?.mayFailover ?? true;
      return mayFailover
        ? null
        : `${words} request for node_id: ${id} is canceled because failover is disallowed on the node`;
    }
    case "attach":
      return isLive(backend)
        ? `invalid ${words} request, status: [${status}] of node id : ${id} is invalid for failback`
        : null;
    case "promote":
      if (state.primaryId === id) {
        return `specified node is already primary node, can't promote node id ${id}`;
      }
      return isLive(backend)
        ? null
        : `invalid ${words} request, node id : ${id} status: [${status}] not valid`;
  }
  return unreachable(request.kind);
}

const REQUEST_WORDS: Readonly<Record<FailoverKind, string>> = {
  detach: "degenerate backend",
  attach: "failback",
  promote: "promote backend",
};

/** Pgpool-II's number of a state. */
function statusCode(state: "waiting" | "up" | "down"): number {
  return { waiting: 1, up: 2, down: 3 }[state];
}
