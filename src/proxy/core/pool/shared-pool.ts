import { assert } from "../../../base/index.ts";
import { Lane, Room, type LaneKey, type LaneWait } from "./lane.ts";

export interface SharedPoolSizes {
  /** For each lane: a backend, user, database and options. */
  readonly laneMax: number;
  /** Of one backend; these three are 0 for no bound. */
  readonly backendMax: number;
  readonly databaseMax: number;
  readonly userMax: number;
  /** How long a connection may be idle; 0 for ever. */
  readonly lifeTimeMs: number;
}

/** The effects that a pool asks of its driver. */
export interface SharedPoolPort<T, O> {
  /** Opens a connection with what this one knows; answered by `opened` or `openFailed`, later. */
  open(lane: Lane<T, O>, wait: LaneWait<T, O>): void;
  close(connection: T): void;
  granted(wait: LaneWait<T, O>, connection: T): void;
}

/**
 * Connections that many sessions take turns with, a transaction each:
 *
 *     session ── take ──> idle? yes: at once
 *                         no: queue; a new one is opened while every bound leaves room, if need be
 *                             by closing one that is idle elsewhere
 *     session ── give ──> whoever waits longest, else idle
 */
export class SharedPool<T, O> {
  readonly #sizes: SharedPoolSizes;
  readonly #port: SharedPoolPort<T, O>;
  readonly #lanes = new Map<string, Lane<T, O>>();
  readonly #rooms = new Map<string, Room>();
  readonly #paused = new Set<number>();
  /** Lanes with somebody in their queue. */
  readonly #crowded = new Set<Lane<T, O>>();
  /** Of the last look at the clock; what follows needs it to the second only. */
  #nowMs = 0;

  constructor(sizes: SharedPoolSizes, port: SharedPoolPort<T, O>) {
    this.#sizes = sizes;
    this.#port = port;
  }

  get lanes(): Iterable<Lane<T, O>> {
    return this.#lanes.values();
  }

  get waiting(): number {
    let sum = 0;
    for (const lane of this.#crowded) sum += lane.waiting;
    return sum;
  }

  /** The lane for this kind; whoever keeps it says `leaveLane` in the end. */
  enterLane(of: LaneKey): Lane<T, O> {
    let lane = this.#lanes.get(of.key);
    if (lane === undefined) {
      const { backendId, database, user } = of;
      const rooms = [
        new Room(this.#sizes.laneMax),
        this.#room(`b${backendId}`, this.#sizes.backendMax),
        this.#room(`d${backendId} ${database}`, this.#sizes.databaseMax),
        this.#room(`u${backendId} ${user}`, this.#sizes.userMax),
      ];
      lane = new Lane(of, rooms);
      lane.isPaused = this.#paused.has(backendId);
      this.#lanes.set(of.key, lane);
    }
    lane.users += 1;
    return lane;
  }

  leaveLane(lane: Lane<T, O>): void {
    lane.users -= 1;
    this.#forgetIfUnused(lane);
  }

  /** An idle connection, or null. */
  take(lane: Lane<T, O>): T | null {
    if (lane.waiting > 0 || lane.isPaused) return null;
    lane.idleSinceMs.pop();
    return lane.idle.pop() ?? null;
  }

  /** Waits until the port says `granted`, or `leave`. */
  wait(lane: Lane<T, O>, wait: LaneWait<T, O>, nowMs: number): void {
    assert(wait.lane === null, "nobody waits twice");
    wait.sinceMs = nowMs;
    lane.enqueue(wait);
    this.#crowded.add(lane);
    this.#serve(lane);
  }

  /** @returns false when it did not wait any more. */
  leave(wait: LaneWait<T, O>): boolean {
    const { lane } = wait;
    if (lane === null) return false;
    lane.dequeue(wait);
    if (lane.waiting === 0) this.#crowded.delete(lane);
    return true;
  }

  /** A connection that was in use is free. */
  give(lane: Lane<T, O>, connection: T): void {
    if (this.#crowded.size > 0) {
      if (lane.waiting > 0 && !lane.isPaused) return this.#grant(lane, connection);
      if (this.#isWantedElsewhere(lane)) {
        this.#port.close(connection);
        return this.closed(lane);
      }
    }
    lane.idle.push(connection);
    lane.idleSinceMs.push(this.#nowMs);
  }

  /** The connection that `open` asked for is here. */
  opened(lane: Lane<T, O>, wait: LaneWait<T, O>, connection: T): void {
    lane.opening -= 1;
    if (wait.opens === lane) wait.opens = null;
    this.give(lane, connection);
  }

  /** It cannot be had. The caller tells the one who lent his name, after `leave`. */
  openFailed(lane: Lane<T, O>, wait: LaneWait<T, O>): void {
    lane.opening -= 1;
    if (wait.opens === lane) wait.opens = null;
    this.closed(lane);
  }

  /** A connection that was in use, or being opened, is gone. */
  closed(lane: Lane<T, O>): void {
    lane.count -= 1;
    assert(lane.count >= 0, "no more connections are closed than were opened");
    for (const room of lane.rooms) room.used -= 1;
    for (const crowded of this.#crowded) this.#serve(crowded);
    this.#forgetIfUnused(lane);
  }

  /** An idle connection broke. */
  remove(lane: Lane<T, O>, connection: T): void {
    const at = lane.idle.indexOf(connection);
    if (at < 0) return;
    lane.idle.splice(at, 1);
    lane.idleSinceMs.splice(at, 1);
    this.closed(lane);
  }

  /** Closes what has been idle too long. */
  expire(nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.#sizes.lifeTimeMs === 0) return;
    const bornMs = nowMs - this.#sizes.lifeTimeMs;
    for (const lane of this.#lanes.values()) {
      while ((lane.idleSinceMs[0] ?? nowMs) < bornMs) this.#closeOldest(lane);
    }
  }

  /** Who has waited since this moment or longer; they wait on. */
  waitingSince(sinceMs: number): LaneWait<T, O>[] {
    const late: LaneWait<T, O>[] = [];
    for (const lane of this.#crowded) {
      for (let wait = lane.first; wait !== null && wait.sinceMs <= sinceMs; wait = wait.next) {
        late.push(wait);
      }
    }
    return late;
  }

  /** Since when the one waits who waits longest; null when nobody does. */
  get oldestSinceMs(): number | null {
    let oldest: number | null = null;
    for (const lane of this.#crowded) {
      const sinceMs = lane.first?.sinceMs ?? null;
      if (sinceMs !== null && (oldest === null || sinceMs < oldest)) oldest = sinceMs;
    }
    return oldest;
  }

  /** Nobody gets a connection to this backend until `resume`; those in use are given back as ever. */
  pause(backendId: number): void {
    this.#paused.add(backendId);
    for (const lane of this.#lanes.values()) {
      if (lane.of.backendId === backendId) lane.isPaused = true;
    }
  }

  resume(backendId: number): void {
    this.#paused.delete(backendId);
    for (const lane of this.#lanes.values()) {
      if (lane.of.backendId !== backendId) continue;
      lane.isPaused = false;
      while (lane.waiting > 0 && lane.idle.length > 0) {
        lane.idleSinceMs.pop();
        this.#grant(lane, lane.idle.pop() as T);
      }
      this.#serve(lane);
    }
  }

  /** Connections to this backend, idle or not, and those that are being opened. */
  count(backendId: number): number {
    let sum = 0;
    for (const lane of this.#lanes.values()) {
      if (lane.of.backendId === backendId) sum += lane.count;
    }
    return sum;
  }

  /** Who waits for a connection to this backend; they wait on. */
  waitingFor(backendId: number): LaneWait<T, O>[] {
    const found: LaneWait<T, O>[] = [];
    for (const lane of this.#crowded) {
      if (lane.of.backendId !== backendId) continue;
      for (let wait = lane.first; wait !== null; wait = wait.next) found.push(wait);
    }
    return found;
  }

  /** Closes what is idle to this backend, and keeps none that is in use now. */
  dropBackend(backendId: number): void {
    for (const lane of this.#lanes.values()) {
      if (lane.of.backendId === backendId) this.#drop(lane);
    }
  }

  dropAll(): void {
    for (const lane of this.#lanes.values()) this.#drop(lane);
  }

  // ---- helpers ----------------------------------------------------------------------------

  #room(key: string, max: number): Room {
    let room = this.#rooms.get(key);
    if (room === undefined) {
      room = new Room(max);
      if (max > 0) this.#rooms.set(key, room);
    }
    return room;
  }

  #grant(lane: Lane<T, O>, connection: T): void {
    const wait = lane.first;
    assert(wait !== null, "somebody waits");
    this.leave(wait);
    this.#port.granted(wait, connection);
  }

  /** Opens for those who wait as many as may be. */
  #serve(lane: Lane<T, O>): void {
    while (lane.isStarved) {
      if (!lane.hasRoom && !this.#makeRoom(lane)) return;
      const wait = lane.nextOpener();
      if (wait === null) return;
      wait.opens = lane;
      lane.opening += 1;
      lane.count += 1;
      for (const room of lane.rooms) room.used += 1;
      this.#port.open(lane, wait);
    }
  }

  /** Closes the longest idle connection that stands in the way. */
  #makeRoom(lane: Lane<T, O>): boolean {
    let oldest: Lane<T, O> | null = null;
    for (const other of this.#lanes.values()) {
      if (other === lane || other.idle.length === 0 || !shareFullRoom(lane, other)) continue;
      if (oldest === null || (other.idleSinceMs[0] ?? 0) < (oldest.idleSinceMs[0] ?? 0)) {
        oldest = other;
      }
    }
    if (oldest === null) return false;
    const connection = this.#shiftIdle(oldest);
    oldest.count -= 1;
    for (const room of oldest.rooms) room.used -= 1;
    this.#port.close(connection);
    this.#forgetIfUnused(oldest);
    return lane.hasRoom || this.#makeRoom(lane);
  }

  /** Somebody waits in another lane for the room that this connection takes. */
  #isWantedElsewhere(lane: Lane<T, O>): boolean {
    for (const crowded of this.#crowded) {
      if (crowded !== lane && crowded.isStarved && shareFullRoom(crowded, lane)) return true;
    }
    return false;
  }

  #drop(lane: Lane<T, O>): void {
    lane.generation += 1;
    while (lane.idle.length > 0) this.#closeOldest(lane);
  }

  #closeOldest(lane: Lane<T, O>): void {
    this.#port.close(this.#shiftIdle(lane));
    this.closed(lane);
  }

  #shiftIdle(lane: Lane<T, O>): T {
    lane.idleSinceMs.shift();
    return lane.idle.shift() as T;
  }

  #forgetIfUnused(lane: Lane<T, O>): void {
    if (lane.users === 0 && lane.count === 0 && lane.waiting === 0) {
      this.#lanes.delete(lane.of.key);
    }
  }
}

function shareFullRoom<T, O>(one: Lane<T, O>, other: Lane<T, O>): boolean {
  return one.rooms.some((room) => room.isFull && other.rooms.includes(room));
}
