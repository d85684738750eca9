import type { CapsFromWorker, ConnectionKind, ScarceRoom } from "../../../wire/ipc/index.ts";
import { capRooms } from "../../../wire/ipc/index.ts";

/** Somebody who wants to open a server connection. */
export interface Claim {
  readonly kind: ConnectionKind;
  readonly sinceMs: number;
  /** It may be opened now; whoever opens it says `closed` in the end. Never during `claim`. */
  readonly granted: () => void;
}

interface KindClaims {
  readonly kind: ConnectionKind;
  /** First come, first served. */
  readonly waiting: Claim[];
  /** Granted, and not gone yet. */
  held: number;
}

/**
 * The right to have server connections, where the node bounds them: what this worker has, who waits
 * for more, and what others wait for. The supervisor decides; see its `connection-caps.ts`.
 */
export class ConnectionClaims {
  /** False: nothing is bounded, and nobody needs to ask. */
  readonly isCapped: boolean;
  readonly #tell: (message: CapsFromWorker) => void;
  readonly #kinds = new Map<string, KindClaims>();
  /** By room, of all three bounds, whether one is set or not. */
  readonly #held = new Map<string, number>();
  #scarce: readonly ScarceRoom[] = [];

  constructor(o: { readonly isCapped: boolean; readonly tell: (message: CapsFromWorker) => void }) {
    this.isCapped = o.isCapped;
    this.#tell = o.tell;
  }

  /** By name. */
  get scarceRooms(): readonly string[] {
    return this.#scarce.map(({ room }) => room);
  }

  /** Somebody, here or in another worker, waits for something that is used up. */
  get isScarce(): boolean {
    return this.#scarce.length > 0;
  }

  /** What is waited for, or held, by kind. */
  get kinds(): Iterable<{
    readonly kind: ConnectionKind;
    readonly held: number;
    readonly waiting: readonly Claim[];
  }> {
    return this.#kinds.values();
  }

  claim(claim: Claim): void {
    const of = this.#of(claim.kind);
    of.waiting.push(claim);
    this.#tellWanted(of);
  }

  /** @returns false when it does not wait any more. */
  giveUp(claim: Claim): boolean {
    const of = this.#of(claim.kind);
    const at = of.waiting.indexOf(claim);
    if (at < 0) return false;
    of.waiting.splice(at, 1);
    this.#tellWanted(of);
    this.#forgetIfUnused(of);
    return true;
  }

  /** The supervisor has granted so many. */
  granted(kind: ConnectionKind, count: number): void {
    const of = this.#of(kind);
    for (let i = 0; i < count; i += 1) {
      this.#count(of, 1);
      const claim = of.waiting.shift();
      if (claim === undefined) this.closed(kind);
      else claim.granted();
    }
    // It may have been on its way while we said what we want.
    this.#tellWanted(of);
  }

  /** A connection that was granted is gone. */
  closed(kind: ConnectionKind): void {
    const of = this.#of(kind);
    this.#count(of, -1);
    this.#tell({ type: "connection-closed", kind });
    this.#forgetIfUnused(of);
  }

  scarceTold(rooms: readonly ScarceRoom[]): void {
    this.#scarce = rooms;
  }

  /**
   * Whether a connection that has become free is wanted more elsewhere. One that is within the share
   * of this worker is not, at once: its next user may come in a moment. See `giveUpIdle` of the pools.
   *
   * @param isAwaited somebody of this worker waits for just such a one.
   */
  isOwed(kind: ConnectionKind, isAwaited: boolean): boolean {
    if (this.#scarce.length === 0) return false;
    const { backend, database, user } = capRooms(kind);
    return this.#scarce.some(({ room, share, isOwed }) => {
      if (room !== backend && room !== database && room !== user) return false;
      return (isOwed || !isAwaited) && (this.#held.get(room) ?? 0) > share;
    });
  }

  #of(kind: ConnectionKind): KindClaims {
    const key = keyOf(kind);
    let of = this.#kinds.get(key);
    if (of === undefined) {
      of = { kind, waiting: [], held: 0 };
      this.#kinds.set(key, of);
    }
    return of;
  }

  #count(of: KindClaims, change: 1 | -1): void {
    of.held += change;
    const { backend, database, user } = capRooms(of.kind);
    for (const room of [backend, database, user]) {
      const now = (this.#held.get(room) ?? 0) + change;
      if (now > 0) this.#held.set(room, now);
      else this.#held.delete(room);
    }
  }

  #tellWanted({ kind, waiting }: KindClaims): void {
    this.#tell({ type: "connections-wanted", kind, count: waiting.length });
  }

  #forgetIfUnused(of: KindClaims): void {
    if (of.held === 0 && of.waiting.length === 0) this.#kinds.delete(keyOf(of.kind));
  }
}

/** This kind of connection counts against that bound. */
export function isInRoom(kind: ConnectionKind, room: string): boolean {
  const { backend, database, user } = capRooms(kind);
  return room === backend || room === database || room === user;
}

function keyOf({ backendId, database, user }: ConnectionKind): string {
  return `${backendId}\0${database}\0${user}`;
}
