/**
 * Which of this node's workers route by the newest committed state, and until when each may route
 * at all:
 *
 *     committed ──> (the view is handed to every worker) ──> worker-applied ... ──> tell-applied
 *     confirmed ──> grant-lease, to the workers that route by the newest state
 *
 * A worker that does not answer gets no further lease, and counts as done when its last one is
 * over. So `tell-applied` means: no worker of this node forwards a statement by an older state,
 * and no command runs for a right to lead that ended before it.
 */
import { unreachable, type Core, type Ms, type Step } from "../../base/index.ts";

export interface AppliedViewsState {
  /** Of the newest committed state that was handed out. */
  readonly index: number;
  /** The newest index that the watchdog was told of. */
  readonly toldIndex: number;
  /** Until when the majority confirms the newest state. */
  readonly confirmedUntilMs: Ms;
  /** Until then a frozen worker of an earlier run of this node may have a lease. */
  readonly silentUntilMs: Ms;
  /** A command that was killed has not ended. */
  readonly isCommandEnding: boolean;
  readonly workers: readonly WorkerStanding[];
}

export interface WorkerStanding {
  readonly id: number;
  readonly appliedIndex: number;
  /** The lease that it was given. */
  readonly leaseUntilMs: Ms;
}

export type AppliedViewsEvent =
  /** The view of this state is on its way to every worker that has joined. */
  | { readonly type: "committed"; readonly index: number }
  /** The routing lease, as the watchdog says it. */
  | { readonly type: "confirmed"; readonly untilMs: Ms }
  /** A worker gets its first view now; before that it serves nobody. */
  | { readonly type: "worker-joined"; readonly id: number }
  | { readonly type: "worker-applied"; readonly id: number; readonly index: number }
  /** Its process has ended. */
  | { readonly type: "worker-left"; readonly id: number }
  /** It knows nothing of what it was told before. */
  | { readonly type: "watchdog-started" }
  | { readonly type: "command-ending"; readonly isEnding: boolean }
  | { readonly type: "tick" };

export type AppliedViewsAction =
  | { readonly type: "grant-lease"; readonly id: number; readonly untilMs: Ms }
  | { readonly type: "tell-applied"; readonly index: number };

export const NOTHING_APPLIED: AppliedViewsState = {
  index: 0,
  toldIndex: 0,
  confirmedUntilMs: -Infinity,
  silentUntilMs: -Infinity,
  isCommandEnding: false,
  workers: [],
};

export const appliedViews: Core<AppliedViewsState, AppliedViewsEvent, AppliedViewsAction> = {
  step(state, event, nowMs): Step<AppliedViewsState, AppliedViewsAction> {
    const taken = take(state, event);
    const granted = grantLeases(taken);
    const told = tellApplied(granted.state, nowMs);
    return { state: told.state, actions: [...granted.actions, ...told.actions] };
  },

  wakeAtMs(state): Ms | null {
    if (state.toldIndex === state.index || state.isCommandEnding) return null;
    const behind = state.workers.filter((worker) => worker.appliedIndex < state.index);
    const dueMs = Math.max(state.silentUntilMs, ...behind.map((worker) => worker.leaseUntilMs));
    return dueMs === -Infinity ? null : dueMs;
  },
};

function take(state: AppliedViewsState, event: AppliedViewsEvent): AppliedViewsState {
  switch (event.type) {
    case "committed":
      return { ...state, index: Math.max(state.index, event.index) };
    case "confirmed":
      return { ...state, confirmedUntilMs: event.untilMs };
    case "worker-joined": {
      const others = state.workers.filter(({ id }) => id !== event.id);
      const joined = { id: event.id, appliedIndex: -1, leaseUntilMs: -Infinity };
      return { ...state, workers: [...others, joined] };
    }
    case "worker-applied": {
      const workers = state.workers.map((worker) =>
        worker.id === event.id && worker.appliedIndex < event.index
          ? { ...worker, appliedIndex: event.index }
          : worker,
      );
      return { ...state, workers };
    }
    case "worker-left":
      return { ...state, workers: state.workers.filter(({ id }) => id !== event.id) };
    case "watchdog-started":
      return { ...state, toldIndex: 0 };
    case "command-ending":
      return { ...state, isCommandEnding: event.isEnding };
    case "tick":
      return state;
  }
  return unreachable(event);
}

/** No worker's lease is ever shortened: the message could come too late. */
function grantLeases(state: AppliedViewsState): Step<AppliedViewsState, AppliedViewsAction> {
  const { confirmedUntilMs } = state;
  const actions: AppliedViewsAction[] = [];
  const workers = state.workers.map((worker) => {
    const { id, appliedIndex, leaseUntilMs } = worker;
    if (appliedIndex < state.index || confirmedUntilMs <= leaseUntilMs) return worker;
    actions.push({ type: "grant-lease", id, untilMs: confirmedUntilMs });
    return { ...worker, leaseUntilMs: confirmedUntilMs };
  });
  return actions.length === 0 ? { state, actions } : { state: { ...state, workers }, actions };
}

function tellApplied(
  state: AppliedViewsState,
  nowMs: Ms,
): Step<AppliedViewsState, AppliedViewsAction> {
  const { index, toldIndex, workers, isCommandEnding } = state;
  const isDone = workers.every(
    (worker) => worker.appliedIndex >= index || nowMs >= worker.leaseUntilMs,
  );
  const mustWait = isCommandEnding || nowMs < state.silentUntilMs;
  if (toldIndex >= index || mustWait || !isDone) return { state, actions: [] };
  return { state: { ...state, toldIndex: index }, actions: [{ type: "tell-applied", index }] };
}
