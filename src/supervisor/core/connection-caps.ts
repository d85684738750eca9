/**
 * Who of this node's workers has how many server connections, where these are bounded:
 *
 *     connections-wanted ──> every bound has room: connections-granted, one by one
 *                       └──> a bound is reached: connections-scarce to all, who close what is idle
 *     connection-closed ──> whatever becomes free goes to who has least
 *     worker-left ───> what it had is free
 *
 * A connection counts from the moment that it is granted until its worker, or the worker's end,
 * says that it is gone; so the bounds hold exactly, over all workers and in both pool modes. While
 * workers want more than there is, each may keep its equal share.
 */
import { unreachable, type Core, type Step } from "../../base/index.ts";
import {
  capRooms,
  type CapsFromWorker,
  type CapsToWorker,
  type ConnectionKind,
  type ScarceRoom,
} from "../../wire/ipc/index.ts";

/** 0: no bound. */
export interface ConnectionCaps {
  readonly backend: number;
  readonly database: number;
  readonly user: number;
}

export interface ConnectionCapsState {
  readonly caps: ConnectionCaps;
  /** Grows with each grant. */
  readonly grantsCount: number;
  readonly workers: readonly WorkerConnections[];
  /** Who has waited longest for a grant stands first. */
  readonly wants: readonly Want[];
}

export interface WorkerConnections {
  readonly id: number;
  /** By bounded room. */
  readonly held: ReadonlyMap<string, number>;
  /** The number of the last grant that it got; 0 for none. */
  readonly lastGrant: number;
  /** What it was told. */
  readonly scarce: readonly ScarceRoom[];
}

export interface Want {
  readonly workerId: number;
  readonly kind: ConnectionKind;
  readonly count: number;
}

export type ConnectionCapsEvent =
  | { readonly type: "worker-joined"; readonly id: number }
  /** Its process has ended, and its connections with it. */
  | { readonly type: "worker-left"; readonly id: number }
  | { readonly type: "told"; readonly id: number; readonly message: CapsFromWorker }
  | { readonly type: "tick" };

export interface ConnectionCapsAction {
  readonly type: "tell";
  readonly id: number;
  readonly message: CapsToWorker;
}

type CapsStep = Step<ConnectionCapsState, ConnectionCapsAction>;

export function newConnectionCaps(caps: ConnectionCaps): ConnectionCapsState {
  return { caps, grantsCount: 0, workers: [], wants: [] };
}

export const connectionCaps: Core<ConnectionCapsState, ConnectionCapsEvent, ConnectionCapsAction> =
  {
    step(state, event): CapsStep {
      const taken = take(state, event);
      const granted = grant(taken);
      const told = tellScarce(granted.state);
      return { state: told.state, actions: [...granted.actions, ...told.actions] };
    },

    wakeAtMs: () => null,
  };

function take(state: ConnectionCapsState, event: ConnectionCapsEvent): ConnectionCapsState {
  switch (event.type) {
    case "worker-joined": {
      const left = leave(state, event.id);
      const held = new Map<string, number>();
      const joined = { id: event.id, held, lastGrant: 0, scarce: [] };
      return { ...left, workers: [...left.workers, joined] };
    }
    case "worker-left":
      return leave(state, event.id);
    case "told": {
      // What it said before its end can come after it.
      if (!state.workers.some(({ id }) => id === event.id)) return state;
      return hear(state, event.id, event.message);
    }
    case "tick":
      return state;
  }
  return unreachable(event);
}

function leave(state: ConnectionCapsState, id: number): ConnectionCapsState {
  return {
    ...state,
    workers: state.workers.filter((worker) => worker.id !== id),
    wants: state.wants.filter(({ workerId }) => workerId !== id),
  };
}

function hear(
  state: ConnectionCapsState,
  workerId: number,
  message: CapsFromWorker,
): ConnectionCapsState {
  const { kind } = message;
  switch (message.type) {
    case "connections-wanted": {
      const { count } = message;
      const isIt = (want: Want): boolean => want.workerId === workerId && isSame(want.kind, kind);
      if (count === 0) return { ...state, wants: state.wants.filter((want) => !isIt(want)) };
      const wants = state.wants.map((want) => (isIt(want) ? { ...want, count } : want));
      if (!wants.some(isIt)) wants.push({ workerId, kind, count });
      return { ...state, wants };
    }
    case "connection-closed":
      return count(state, workerId, kind, -1);
  }
  return unreachable(message);
}

/** One after the other, so that no want, however large, goes before all others. */
function grant(state: ConnectionCapsState): CapsStep {
  const granted = new Map<Want["workerId"], Map<string, { kind: ConnectionKind; count: number }>>();
  let now = state;
  for (let want = nextToServe(now); want !== null; want = nextToServe(now)) {
    const { workerId, kind } = want;
    now = count({ ...now, wants: afterGrant(now.wants, want) }, workerId, kind, 1);
    now = noteGrant(now, workerId);
    const ofWorker = granted.get(workerId) ?? new Map();
    const key = JSON.stringify(kind);
    ofWorker.set(key, { kind, count: (ofWorker.get(key)?.count ?? 0) + 1 });
    granted.set(workerId, ofWorker);
  }
  const actions = [...granted].flatMap(([id, kinds]) =>
    [...kinds.values()].map((one): ConnectionCapsAction => {
      return { type: "tell", id, message: { type: "connections-granted", ...one } };
    }),
  );
  return { state: now, actions };
}

/**
 * Of those for whom there is room, whose worker has least; then whose worker has got something less
 * recently; then who has waited longest.
 */
function nextToServe(state: ConnectionCapsState): Want | null {
  let next: Want | null = null;
  let least = { has: Infinity, lastGrant: Infinity };
  for (const want of state.wants) {
    const rooms = boundedRooms(state.caps, want.kind);
    if (rooms.some(({ room, max }) => usedIn(state, room) >= max)) continue;
    const worker = state.workers.find(({ id }) => id === want.workerId);
    const has = rooms.reduce((sum, { room }) => sum + (worker?.held.get(room) ?? 0), 0);
    const lastGrant = worker?.lastGrant ?? 0;
    if (has > least.has || (has === least.has && lastGrant >= least.lastGrant)) continue;
    least = { has, lastGrant };
    next = want;
  }
  return next;
}

function noteGrant(state: ConnectionCapsState, workerId: number): ConnectionCapsState {
  const grantsCount = state.grantsCount + 1;
  const workers = state.workers.map((worker) =>
    worker.id === workerId ? { ...worker, lastGrant: grantsCount } : worker,
  );
  return { ...state, grantsCount, workers };
}

/** Whatever is left of it stands behind the others. */
function afterGrant(wants: readonly Want[], granted: Want): readonly Want[] {
  const others = wants.filter((want) => want !== granted);
  return granted.count === 1 ? others : [...others, { ...granted, count: granted.count - 1 }];
}

function tellScarce(state: ConnectionCapsState): CapsStep {
  const full = fullRooms(state);
  const actions: ConnectionCapsAction[] = [];
  const workers = state.workers.map((worker) => {
    const scarce = full.map(({ room, share, wantedBy }): ScarceRoom => {
      const isOwed = wantedBy.some(
        (id) => id !== worker.id && heldBy(state, id, room) < Math.max(1, share),
      );
      return { room, share, isOwed };
    });
    if (JSON.stringify(scarce) === JSON.stringify(worker.scarce)) return worker;
    const message = { type: "connections-scarce", rooms: scarce } as const;
    actions.push({ type: "tell", id: worker.id, message });
    return { ...worker, scarce };
  });
  return actions.length === 0 ? { state, actions } : { state: { ...state, workers }, actions };
}

interface FullRoom {
  readonly room: string;
  /** What each worker that has or wants some may keep. */
  readonly share: number;
  readonly wantedBy: readonly number[];
}

function fullRooms(state: ConnectionCapsState): readonly FullRoom[] {
  const rooms = new Map<string, { max: number; wantedBy: Set<number> }>();
  for (const { kind, workerId } of state.wants) {
    for (const { room, max } of boundedRooms(state.caps, kind)) {
      if (usedIn(state, room) < max) continue;
      const found = rooms.get(room) ?? { max, wantedBy: new Set() };
      found.wantedBy.add(workerId);
      rooms.set(room, found);
    }
  }
  return [...rooms].map(([room, { max, wantedBy }]) => {
    const holders = state.workers.filter(({ held }) => (held.get(room) ?? 0) > 0);
    const parties = new Set([...wantedBy, ...holders.map(({ id }) => id)]);
    return { room, share: Math.floor(max / parties.size), wantedBy: [...wantedBy] };
  });
}

function count(
  state: ConnectionCapsState,
  workerId: number,
  kind: ConnectionKind,
  change: 1 | -1,
): ConnectionCapsState {
  const rooms = boundedRooms(state.caps, kind);
  const workers = state.workers.map((worker) => {
    if (worker.id !== workerId) return worker;
    const held = new Map(worker.held);
    for (const { room } of rooms) {
      const now = (held.get(room) ?? 0) + change;
      if (now > 0) held.set(room, now);
      else held.delete(room);
    }
    return { ...worker, held };
  });
  return { ...state, workers };
}

function boundedRooms(
  caps: ConnectionCaps,
  kind: ConnectionKind,
): { readonly room: string; readonly max: number }[] {
  const { backend, database, user } = capRooms(kind);
  return [
    { room: backend, max: caps.backend },
    { room: database, max: caps.database },
    { room: user, max: caps.user },
  ].filter(({ max }) => max > 0);
}

function usedIn({ workers }: ConnectionCapsState, room: string): number {
  return workers.reduce((sum, { held }) => sum + (held.get(room) ?? 0), 0);
}

function heldBy({ workers }: ConnectionCapsState, workerId: number, room: string): number {
  return workers.find(({ id }) => id === workerId)?.held.get(room) ?? 0;
}

function isSame(one: ConnectionKind, other: ConnectionKind): boolean {
  return (
    one.backendId === other.backendId && one.database === other.database && one.user === other.user
  );
}
