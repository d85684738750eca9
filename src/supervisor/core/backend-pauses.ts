/**
 * Which backends are paused on this node, by whom and for how long, and what still runs there:
 *
 *     pause ──> tell every worker ──> told, told ... ──> nothing runs any more: drained
 *       │                                                       (and nothing begins)
 *       └── resume, or its time is over ──> tell every worker
 *
 * A pause always ends: statements of clients wait for it.
 */
import { unreachable, type Core, type Ms, type Step } from "../../base/index.ts";
import type { ToWorker } from "../../wire/ipc/index.ts";

export interface BackendPausesState {
  /** Grows with each pause. */
  readonly round: number;
  readonly workers: readonly number[];
  readonly pauses: readonly BackendPause[];
}

export interface BackendPause {
  readonly backendId: number;
  /** In words, for those who wonder. */
  readonly by: string;
  readonly round: number;
  readonly sinceMs: Ms;
  /** Then it ends by itself. */
  readonly untilMs: Ms;
  /** By worker, as it said last; who has said nothing yet is not there. */
  readonly running: ReadonlyMap<number, number>;
  /** Nothing ran there any more; null before. */
  readonly drainedMs: Ms | null;
}

export type BackendPausesEvent =
  /** A backend that is paused already stays so until the new time. */
  | { readonly type: "pause"; readonly backendId: number; readonly by: string; readonly forMs: Ms }
  | { readonly type: "resume"; readonly backendId: number }
  /** It has not heard anything yet, and serves nobody. */
  | { readonly type: "worker-joined"; readonly id: number }
  | { readonly type: "worker-left"; readonly id: number }
  | {
      readonly type: "told";
      readonly id: number;
      readonly backendId: number;
      readonly round: number;
      readonly running: number;
    }
  | { readonly type: "tick" };

export type BackendPausesAction =
  | { readonly type: "tell"; readonly id: number; readonly message: ToWorker }
  | { readonly type: "drained"; readonly pause: BackendPause }
  | { readonly type: "resumed"; readonly pause: BackendPause; readonly why: "asked" | "time" };

type PausesStep = Step<BackendPausesState, BackendPausesAction>;

export const NO_PAUSES: BackendPausesState = { round: 0, workers: [], pauses: [] };

export const backendPauses: Core<BackendPausesState, BackendPausesEvent, BackendPausesAction> = {
  step(state, event, nowMs): PausesStep {
    const taken = take(state, event, nowMs);
    const ended = endOld(taken.state, nowMs);
    const drained = noteDrained(ended.state, nowMs);
    return {
      state: drained.state,
      actions: [...taken.actions, ...ended.actions, ...drained.actions],
    };
  },

  wakeAtMs: ({ pauses }) =>
    pauses.length === 0 ? null : Math.min(...pauses.map(({ untilMs }) => untilMs)),
};

/** Connections on which something runs, of the workers that have said so. */
export function runningOf(pause: BackendPause): number {
  return [...pause.running.values()].reduce((sum, count) => sum + count, 0);
}

function take(state: BackendPausesState, event: BackendPausesEvent, nowMs: Ms): PausesStep {
  switch (event.type) {
    case "pause":
      return pause(state, event, nowMs);
    case "resume":
      return end(state, ({ backendId }) => backendId === event.backendId, "asked");
    case "worker-joined": {
      const left = leave(state, event.id);
      const actions = state.pauses.map((one): BackendPausesAction => tellPause(event.id, one));
      return { state: { ...left, workers: [...left.workers, event.id] }, actions };
    }
    case "worker-left":
      return { state: leave(state, event.id), actions: [] };
    case "told": {
      const { id, backendId, round, running } = event;
      const pauses = state.pauses.map((one) => {
        const isMeant = one.backendId === backendId && one.round === round;
        return isMeant ? { ...one, running: new Map([...one.running, [id, running]]) } : one;
      });
      return { state: { ...state, pauses }, actions: [] };
    }
    case "tick":
      return { state, actions: [] };
  }
  return unreachable(event);
}

function pause(
  state: BackendPausesState,
  event: BackendPausesEvent & { readonly type: "pause" },
  nowMs: Ms,
): PausesStep {
  const { backendId, by } = event;
  const untilMs = nowMs + event.forMs;
  const isThere = state.pauses.some((one) => one.backendId === backendId);
  if (isThere) {
    const pauses = state.pauses.map((one) =>
      one.backendId === backendId ? { ...one, by, untilMs } : one,
    );
    return { state: { ...state, pauses }, actions: [] };
  }
  const round = state.round + 1;
  const running = new Map<number, number>();
  const added = { backendId, by, round, sinceMs: nowMs, untilMs, running, drainedMs: null };
  return {
    state: { ...state, round, pauses: [...state.pauses, added] },
    actions: state.workers.map((id) => tellPause(id, added)),
  };
}

function endOld(state: BackendPausesState, nowMs: Ms): PausesStep {
  return end(state, ({ untilMs }) => untilMs <= nowMs, "time");
}

function end(
  state: BackendPausesState,
  matches: (pause: BackendPause) => boolean,
  why: "asked" | "time",
): PausesStep {
  const ended = state.pauses.filter(matches);
  if (ended.length === 0) return { state, actions: [] };
  const actions = ended.flatMap((one): BackendPausesAction[] => [
    ...state.workers.map((id): BackendPausesAction => {
      return { type: "tell", id, message: { type: "resume-backend", backendId: one.backendId } };
    }),
    { type: "resumed", pause: one, why },
  ]);
  const pauses = state.pauses.filter((one) => !ended.includes(one));
  return { state: { ...state, pauses }, actions };
}

/** Only when every worker has said that nothing runs. */
function noteDrained(state: BackendPausesState, nowMs: Ms): PausesStep {
  const actions: BackendPausesAction[] = [];
  const pauses = state.pauses.map((one) => {
    const isDrained = state.workers.every((id) => one.running.get(id) === 0);
    if (one.drainedMs !== null || !isDrained) return one;
    const drained = { ...one, drainedMs: nowMs };
    actions.push({ type: "drained", pause: drained });
    return drained;
  });
  return actions.length === 0 ? { state, actions } : { state: { ...state, pauses }, actions };
}

function leave(state: BackendPausesState, id: number): BackendPausesState {
  return {
    ...state,
    workers: state.workers.filter((one) => one !== id),
    pauses: state.pauses.map((one) => ({
      ...one,
      running: new Map([...one.running].filter(([worker]) => worker !== id)),
    })),
  };
}

function tellPause(id: number, { backendId, round }: BackendPause): BackendPausesAction {
  return { type: "tell", id, message: { type: "pause-backend", backendId, round } };
}
