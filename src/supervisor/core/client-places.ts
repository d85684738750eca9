/**
 * Who of this node's workers has how many of the `num_init_children` places for clients:
 *
 *     worker-joined ──> its share            place-wanted ──> one is free: places-granted
 *     worker-left ───> its places are free               └──> none is: places-scarce to all, and
 *     places-returned ──> to who waits longest                what is unused anywhere comes back
 *
 * The sum of what the workers have and what is free never exceeds the number of places, since a
 * place is counted as the worker's before it is told, and as free only after the worker, or its
 * end, said so. While places are scarce every one that becomes free comes here, so they go to
 * clients in the order in which these came, whichever worker has them.
 */
import { unreachable, type Core, type Ms, type Step } from "../../base/index.ts";
import type { PlacesFromWorker, PlacesToWorker } from "../../wire/ipc/index.ts";

export interface ClientPlacesState {
  /** What a worker gets at first. */
  readonly shareCount: number;
  /** False: a client for which there is no place is refused. */
  readonly mayWait: boolean;
  /** Clients that may wait. */
  readonly queueMax: number;
  readonly freeCount: number;
  /** Grows with each time that places become scarce. */
  readonly round: number;
  readonly isScarce: boolean;
  readonly workers: readonly WorkerPlaces[];
  /** Who has waited longest stands first. */
  readonly queue: readonly WantedPlace[];
}

export interface WorkerPlaces {
  readonly id: number;
  readonly count: number;
  /** It has given back what was unused when this round began, and does so since. */
  readonly answeredRound: number;
}

export interface WantedPlace {
  readonly workerId: number;
  readonly ticket: number;
  readonly sinceMs: Ms;
}

export type ClientPlacesEvent =
  /** Before it serves anybody; one that runs again has nothing from before. */
  | { readonly type: "worker-joined"; readonly id: number }
  /** Its process has ended, and with it the connections of its clients. */
  | { readonly type: "worker-left"; readonly id: number }
  | { readonly type: "told"; readonly id: number; readonly message: PlacesFromWorker }
  | { readonly type: "configured"; readonly queueMax: number }
  | { readonly type: "tick" };

export interface ClientPlacesAction {
  readonly type: "tell";
  readonly id: number;
  readonly message: PlacesToWorker;
}

/** No worker has joined. */
export function newClientPlaces(o: {
  readonly placesCount: number;
  readonly workersCount: number;
  readonly mayWait: boolean;
  readonly queueMax: number;
}): ClientPlacesState {
  return {
    shareCount: Math.ceil(o.placesCount / o.workersCount),
    mayWait: o.mayWait,
    queueMax: o.queueMax,
    freeCount: o.placesCount,
    round: 0,
    isScarce: false,
    workers: [],
    queue: [],
  };
}

type PlacesStep = Step<ClientPlacesState, ClientPlacesAction>;

export const clientPlaces: Core<ClientPlacesState, ClientPlacesEvent, ClientPlacesAction> = {
  step(state, event): PlacesStep {
    const taken = take(state, event);
    const granted = grant(taken.state);
    const turned = turn(granted.state);
    const refused = refuse(turned.state);
    const actions = [taken, granted, turned, refused].flatMap((one) => one.actions);
    return { state: refused.state, actions };
  },

  wakeAtMs: () => null,
};

function take(state: ClientPlacesState, event: ClientPlacesEvent): PlacesStep {
  switch (event.type) {
    case "worker-joined":
      return join(leave(state, event.id), event.id);
    case "worker-left":
      return { state: leave(state, event.id), actions: [] };
    case "told":
      return { state: hear(state, event.id, event.message), actions: [] };
    case "configured":
      return { state: { ...state, queueMax: event.queueMax }, actions: [] };
    case "tick":
      return { state, actions: [] };
  }
  return unreachable(event);
}

function join(state: ClientPlacesState, id: number): PlacesStep {
  const count = state.isScarce ? 0 : Math.min(state.shareCount, state.freeCount);
  const workers = [...state.workers, { id, count, answeredRound: state.round }];
  const round = state.isScarce ? state.round : null;
  return {
    state: { ...state, workers, freeCount: state.freeCount - count },
    actions: [{ type: "tell", id, message: { type: "places", count, round } }],
  };
}

function leave(state: ClientPlacesState, id: number): ClientPlacesState {
  const had = state.workers.find((worker) => worker.id === id);
  if (had === undefined) return state;
  return {
    ...state,
    freeCount: state.freeCount + had.count,
    workers: state.workers.filter((worker) => worker !== had),
    queue: state.queue.filter(({ workerId }) => workerId !== id),
  };
}

function hear(state: ClientPlacesState, id: number, message: PlacesFromWorker): ClientPlacesState {
  const worker = state.workers.find((one) => one.id === id);
  // What it said before its end can come after it.
  if (worker === undefined) return state;
  switch (message.type) {
    case "place-wanted": {
      const { ticket, sinceMs } = message;
      const at = state.queue.findLastIndex((other) => other.sinceMs <= sinceMs) + 1;
      const wanted = { workerId: id, ticket, sinceMs };
      return { ...state, queue: state.queue.toSpliced(at, 0, wanted) };
    }
    case "place-unwanted": {
      const isIt = (one: WantedPlace): boolean =>
        one.workerId === id && one.ticket === message.ticket;
      return { ...state, queue: state.queue.filter((one) => !isIt(one)) };
    }
    case "places-returned": {
      const count = Math.min(message.count, worker.count);
      const now = { id, count: worker.count - count, answeredRound: message.round };
      const workers = state.workers.map((one) => (one === worker ? now : one));
      return { ...state, workers, freeCount: state.freeCount + count };
    }
  }
  return unreachable(message);
}

/** Free places to those that wait; what is left when all have one is lent in part beforehand. */
function grant(state: ClientPlacesState): PlacesStep {
  const served = state.queue.slice(0, state.freeCount);
  if (served.length === 0) return { state, actions: [] };
  const queue = state.queue.slice(served.length);
  let freeCount = state.freeCount - served.length;
  const actions: ClientPlacesAction[] = [];
  const workers = state.workers.map((worker) => {
    const { id } = worker;
    const own = served.filter(({ workerId }) => workerId === id);
    if (own.length === 0) return worker;
    const tickets = own.map(({ ticket }) => ticket);
    const spareCount = Math.floor(freeCount / (2 * state.workers.length));
    freeCount -= spareCount;
    actions.push({ type: "tell", id, message: { type: "places-granted", tickets, spareCount } });
    return { ...worker, count: worker.count + tickets.length + spareCount };
  });
  return { state: { ...state, queue, workers, freeCount }, actions };
}

/** Tells everybody when somebody has to wait, and when nobody has to any more. */
function turn(state: ClientPlacesState): PlacesStep {
  const isScarce = state.queue.length > 0;
  if (isScarce === state.isScarce) return { state, actions: [] };
  const round = isScarce ? state.round + 1 : state.round;
  const message = { type: "places-scarce", round: isScarce ? round : null } as const;
  return {
    state: { ...state, isScarce, round },
    actions: state.workers.map(({ id }) => ({ type: "tell", id, message })),
  };
}

/** Only when every worker has given back what it did not use is it sure that there is none. */
function refuse(state: ClientPlacesState): PlacesStep {
  const waitingMax = state.mayWait ? state.queueMax : 0;
  if (state.queue.length <= waitingMax) return { state, actions: [] };
  if (!state.workers.every(({ answeredRound }) => answeredRound === state.round)) {
    return { state, actions: [] };
  }
  const refused = state.queue.slice(waitingMax);
  const actions = state.workers.flatMap(({ id }): ClientPlacesAction[] => {
    const tickets = refused.filter(({ workerId }) => workerId === id).map(({ ticket }) => ticket);
    if (tickets.length === 0) return [];
    return [{ type: "tell", id, message: { type: "places-refused", tickets } }];
  });
  // Who is left waits on; when nobody is, the workers may keep what becomes free.
  const turned = turn({ ...state, queue: state.queue.slice(0, waitingMax) });
  return { state: turned.state, actions: [...actions, ...turned.actions] };
}
