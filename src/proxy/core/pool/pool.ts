import { assert } from "../../../base/index.ts";
import type { Ms } from "../../../base/index.ts";

/** Never pooled, as in Pgpool-II: connections to them would stand in the way of CREATE DATABASE. */
const UNPOOLED_DATABASES = new Set(["template0", "template1", "postgres", "regression"]);

export function isPooledDatabase(database: string): boolean {
  return !UNPOOLED_DATABASES.has(database);
}

/**
 * Connections with equal keys are interchangeable: same user, same database, the same start-up
 * parameters in the same order.
 *
 * Source: Pgpool-II, which compares the start-up packets byte by byte.
 */
export function poolKey(parameters: ReadonlyMap<string, string>): string {
  let key = "";
  for (const [name, value] of parameters) key += `${name}\0${value}\0`;
  return key;
}

interface Idle<T> {
  readonly connection: T;
  readonly backendId: number;
  readonly key: string;
  readonly sinceMs: Ms;
}

/**
 * The backend connections of one worker: those in use are counted, the idle ones kept. A
 * connection given back last is taken first; the one that is idle longest makes room.
 */
export class Pool<T> {
  #connectionsMax: number;
  readonly #lifeTimeMs: number;
  /** Idle ones by backend and key, the newest last; a Set keeps the order of insertion. */
  readonly #byKey = new Map<string, Idle<T>[]>();
  readonly #idle = new Map<T, Idle<T>>();
  readonly #used = new Map<number, number>();
  readonly #idleCounts = new Map<number, number>();

  /**
   * @param o.connectionsMax for each backend, idle and used together.
   * @param o.lifeTimeMs how long a connection may be idle; 0 for ever.
   */
  constructor(o: { readonly connectionsMax: number; readonly lifeTimeMs: number }) {
    this.#connectionsMax = o.connectionsMax;
    this.#lifeTimeMs = o.lifeTimeMs;
  }

  get idleCount(): number {
    return this.#idle.size;
  }

  get connectionsMax(): number {
    return this.#connectionsMax;
  }

  /** @returns idle connections that must be closed, oldest first. */
  resize(connectionsMax: number): T[] {
    this.#connectionsMax = connectionsMax;
    return [...this.#idleCounts.keys()].flatMap((backendId) => this.#makeRoom(backendId));
  }

  /** An idle connection, which now counts as used, or null. */
  take(backendId: number, key: string): T | null {
    const found = this.#byKey.get(`${backendId}\0${key}`)?.at(-1);
    if (found === undefined) return null;
    this.remove(found.connection);
    this.opened(backendId);
    return found.connection;
  }

  /**
   * A new connection is used; call before it is opened.
   *
   * @returns idle connections that must be closed to make room, oldest first.
   */
  opened(backendId: number): T[] {
    this.#used.set(backendId, (this.#used.get(backendId) ?? 0) + 1);
    return this.#makeRoom(backendId);
  }

  /** A used connection was closed. */
  closed(backendId: number): void {
    const used = this.#used.get(backendId) ?? 0;
    assert(used > 0, `backend ${backendId}: more connections closed than opened`);
    this.#used.set(backendId, used - 1);
  }

  /** A used connection becomes idle. */
  give(connection: T, backendId: number, key: string, nowMs: Ms): T[] {
    this.closed(backendId);
    const idle: Idle<T> = { connection, backendId, key, sinceMs: nowMs };
    const slot = `${backendId}\0${key}`;
    const siblings = this.#byKey.get(slot);
    if (siblings === undefined) this.#byKey.set(slot, [idle]);
    else siblings.push(idle);
    this.#idle.set(connection, idle);
    this.#countIdle(backendId, 1);
    return this.#makeRoom(backendId);
  }

  /** An idle connection broke. @returns false when it was not idle. */
  remove(connection: T): boolean {
    const idle = this.#idle.get(connection);
    if (idle === undefined) return false;
    this.#idle.delete(connection);
    this.#countIdle(idle.backendId, -1);
    const slot = `${idle.backendId}\0${idle.key}`;
    const siblings = this.#byKey.get(slot)?.filter((one) => one !== idle) ?? [];
    if (siblings.length === 0) this.#byKey.delete(slot);
    else this.#byKey.set(slot, siblings);
    return true;
  }

  /** Kept ones, who is idle longest first. */
  get idle(): Iterable<T> {
    return this.#idle.keys();
  }

  /** Removes the one that is idle for longest among those that match, and were idle by then. */
  giveUp(matches: (connection: T) => boolean, idleSinceMs: Ms): T | null {
    for (const { connection, sinceMs } of this.#idle.values()) {
      if (sinceMs > idleSinceMs) return null;
      if (!matches(connection)) continue;
      this.remove(connection);
      return connection;
    }
    return null;
  }

  /** Removes what has been idle too long. */
  expire(nowMs: Ms): T[] {
    if (this.#lifeTimeMs === 0) return [];
    return this.#removeWhere((idle) => nowMs - idle.sinceMs >= this.#lifeTimeMs);
  }

  /** Removes what is idle to this backend. */
  dropBackend(backendId: number): T[] {
    return this.#removeWhere((idle) => idle.backendId === backendId);
  }

  dropAll(): T[] {
    return this.#removeWhere(() => true);
  }

  #makeRoom(backendId: number): T[] {
    const idle = this.#idleCounts.get(backendId) ?? 0;
    let surplus = Math.min(idle, idle + (this.#used.get(backendId) ?? 0) - this.#connectionsMax);
    if (surplus <= 0) return [];
    // A Map keeps the order of insertion: who is idle longest comes first.
    const oldest: T[] = [];
    for (const one of this.#idle.values()) {
      if (one.backendId !== backendId) continue;
      oldest.push(one.connection);
      surplus -= 1;
      if (surplus === 0) break;
    }
    for (const connection of oldest) this.remove(connection);
    return oldest;
  }

  #countIdle(backendId: number, change: number): void {
    this.#idleCounts.set(backendId, (this.#idleCounts.get(backendId) ?? 0) + change);
  }

  #removeWhere(matches: (idle: Idle<T>) => boolean): T[] {
    const gone = [...this.#idle.values()].filter(matches).map((idle) => idle.connection);
    for (const connection of gone) this.remove(connection);
    return gone;
  }
}
