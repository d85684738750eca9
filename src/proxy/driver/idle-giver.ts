import { monotonicNowMs } from "../../os/index.ts";
import type { ConnectionClaims } from "../core/pool/index.ts";
import type { BackendPool } from "./backend-pool.ts";
import type { SharedConnections } from "./shared-connections.ts";

/** One that is idle for less may be needed in a moment: to open it again costs more than to wait. */
const IDLE_AT_LEAST_MS = 50;
const LOOK_EVERY_MS = 20;

/**
 * While somebody waits for a bound that is used up, closes what is idle and counts against it, one
 * after the other, until nobody waits.
 */
export class IdleGiver {
  readonly #claims: ConnectionClaims;
  readonly #pool: BackendPool;
  readonly #shared: SharedConnections;
  #timer: NodeJS.Timeout | null = null;

  constructor(claims: ConnectionClaims, pool: BackendPool, shared: SharedConnections) {
    this.#claims = claims;
    this.#pool = pool;
    this.#shared = shared;
  }

  /** What is scarce has changed. */
  look(): void {
    const nowMs = monotonicNowMs();
    this.#shared.lookAtScarcity(nowMs);
    if (this.#timer !== null || !this.#claims.isScarce) return;
    const idleSinceMs = nowMs - IDLE_AT_LEAST_MS;
    for (const room of this.#claims.scarceRooms) {
      if (!this.#shared.giveUpIdle(room, idleSinceMs)) this.#pool.giveUpIdle(room, idleSinceMs);
    }
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.look();
    }, LOOK_EVERY_MS);
  }
}
