import { assert } from "../../../base/index.ts";
import { Lane, type LaneKey, type LaneWait } from "./lane.ts";

export interface SharedPoolSizes {
  /** For each lane: a backend, user, database and options. */
  readonly laneMax: number;
  /** How long a connection may be idle; 0 for ever. */
  readonly lifeTimeMs: number;
}

/** The effects that a pool asks of its driver. */
export interface SharedPoolPort<T, O> {
  /** Opens a connection with what this one knows; answered by `opened` or `openFailed`, later. */
  open(lane: Lane<T, O>, wait: LaneWait<T, O>): void;
  close(connection: T): void;
  granted(wait: LaneWait<T, O>, connection: T): void;
  /**
   * A connection that has become free is wanted more elsewhere than here.
   *
   * @param isAwaited somebody waits for it in its lane.
   */
  isOwed(lane: Lane<T, O>, isAwaited: boolean): boolean;
  /** One of those that are being opened is not needed any more. */
  surplus(lane: Lane<T, O>): void;
}

/**
 * Connections that many sessions take turns with, a transaction each:
 *
 *     session ── take ──> idle? yes: at once
 *                         no: queue; a new one is opened while the lane's bound leaves room
 *     session ── give ──> owed to others? closed. Else whoever waits longest has it, else it is idle
 */
export class SharedPool<T, O> {
  readonly #sizes: SharedPoolSizes;
  readonly #port: SharedPoolPort<T, O>;
  readonly #lanes = new Map<string, Lane<T, O>>();
  readonly #paused = new Set<number>();
  /** Connections are bounded together with others, and somebody waits for one. */
  isScarce = false;
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
      lane = new Lane(of, this.#sizes.laneMax);
      lane.isPaused = this.#paused.has(of.backendId);
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
    if (lane.opening > lane.waiting) this.#port.surplus(lane);
    return true;
  }

  /** A connection that was in use is free. */
  give(lane: Lane<T, O>, connection: T): void {
    const isAwaited = lane.waiting > 0 && !lane.isPaused;
    if (this.isScarce && this.#port.isOwed(lane, isAwaited)) {
      this.#port.close(connection);
      return this.closed(lane);
    }
    if (isAwaited) return this.#grant(lane, connection);
    lane.idle.push(connection);
    lane.idleSinceMs.push(this.#nowMs);
  }

  /** The connection that `open` asked for is here. */
  opened(lane: Lane<T, O>, wait: LaneWait<T, O>, connection: T): void {
    lane.opening -= 1;
    if (wait.opens === lane) wait.opens = null;
    // It was asked for: who waits has it before it can be owed to others.
    if (lane.waiting > 0 && !lane.isPaused) this.#grant(lane, connection);
    else this.give(lane, connection);
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
    this.#serve(lane);
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

  /**
   * Closes the connection that is idle for longest among those that match, and were idle by then.
   *
   * @returns false when there is none.
   */
  giveUpIdle(matches: (of: LaneKey) => boolean, idleSinceMs: number): boolean {
    let oldest: Lane<T, O> | null = null;
    for (const lane of this.#lanes.values()) {
      if (lane.idle.length === 0 || !matches(lane.of)) continue;
      if (oldest === null || idleSince(lane) < idleSince(oldest)) oldest = lane;
    }
    if (oldest === null || idleSince(oldest) > idleSinceMs) return false;
    this.#closeOldest(oldest);
    return true;
  }

  /** While connections are scarce, how long they are idle matters more exactly. */
  lookAtClock(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  // ---- helpers ----------------------------------------------------------------------------

  #grant(lane: Lane<T, O>, connection: T): void {
    const wait = lane.first;
    assert(wait !== null, "somebody waits");
    this.leave(wait);
    this.#port.granted(wait, connection);
  }

  /** Opens for those who wait as many as may be. */
  #serve(lane: Lane<T, O>): void {
    while (lane.isStarved) {
      const wait = lane.nextOpener();
      if (wait === null) return;
      wait.opens = lane;
      lane.opening += 1;
      lane.count += 1;
      this.#port.open(lane, wait);
    }
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

function idleSince<T, O>(lane: Lane<T, O>): number {
  return lane.idleSinceMs[0] ?? 0;
}
