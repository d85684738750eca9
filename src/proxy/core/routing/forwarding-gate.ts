import type { Ms } from "../../../base/index.ts";
import { LEASE_FOR_EVER_MS, type ClusterView } from "../../../wire/ipc/index.ts";

/** How long statements are held when nobody knows how to go on; then they are refused. */
export interface HoldLimits {
  /** After the end of the routing lease. */
  readonly withoutLeaseMs: Ms;
  /** While there is no primary that takes connections, from the beginning of that. */
  readonly withoutPrimaryMs: Ms;
}

/**
 * Whether a worker may forward statements at this moment. Its view of the primary may be from
 * before a failover that it was not told of, because this node is cut off or one of its processes
 * is frozen. So it forwards only during its routing lease, which the supervisor extends while the
 * cluster's majority confirms the view that this worker has said it applied:
 *
 *     ── forwards ──│── holds, up to `withoutLeaseMs` ──│── refuses ──>
 *              lease ends                     `wakeAtMs`
 *
 * Times are of CLOCK_MONOTONIC, milliseconds. A stream: the one question of each statement,
 * `isOpen`, is one comparison of numbers. A worker that is frozen between this question and the
 * system call that sends the statement cannot be helped by any clock.
 */
export class ForwardingGate {
  #limits: HoldLimits;
  #leaseUntilMs: Ms;
  /** The lease, or nothing while the supervisor refuses. */
  #openUntilMs: Ms;
  #refusal: string | null = null;
  /** Of the view; and what was found out by trying to connect to it. */
  #isPrimaryKnown = true;
  #isPrimaryDeaf = false;
  /** Since when there has been no primary that takes connections; null: there is one. */
  #withoutPrimarySinceMs: Ms | null = null;

  /** A new worker has no lease, but gets the time in which to be given one. */
  constructor(limits: HoldLimits, nowMs: Ms) {
    this.#limits = limits;
    this.#leaseUntilMs = nowMs;
    this.#openUntilMs = nowMs;
  }

  leaseTaken(untilMs: Ms): void {
    this.#leaseUntilMs = Math.max(this.#leaseUntilMs, untilMs);
    this.#setOpen();
  }

  viewTaken(view: ClusterView, nowMs: Ms): void {
    this.#refusal = view.refusal;
    this.#isPrimaryKnown = !view.awaitsPrimary && view.primaryId !== null;
    this.#setSince(nowMs);
    this.#setOpen();
  }

  /** The primary of the view takes no connections, or does again. */
  primaryHeard(answers: boolean, nowMs: Ms): void {
    this.#isPrimaryDeaf = !answers;
    this.#setSince(nowMs);
  }

  change(limits: HoldLimits): void {
    this.#limits = limits;
  }

  /** No need to look at the clock. */
  get isOpenForEver(): boolean {
    return this.#openUntilMs === LEASE_FOR_EVER_MS;
  }

  isOpen(nowMs: Ms): boolean {
    return nowMs < this.#openUntilMs;
  }

  /** Asked while the gate is shut: why statements are refused, or null while they are held. */
  refusal(nowMs: Ms): string | null {
    if (this.#refusal !== null) return this.#refusal;
    return nowMs < this.#refusesFromMs ? null : NOT_CONFIRMED;
  }

  /** There is one that takes connections, as far as is known: no need to look at the clock. */
  get hasPrimary(): boolean {
    return this.#withoutPrimarySinceMs === null;
  }

  /** A statement that needs the primary is held, because there will be one soon. */
  awaitsPrimary(nowMs: Ms): boolean {
    return this.#withoutPrimarySinceMs !== null && nowMs < this.#awaitsPrimaryUntilMs;
  }

  /** When time alone changes an answer for those that are held or run; null: not before a message. */
  wakeAtMs(nowMs: Ms): Ms | null {
    const ends = [
      this.#refusesFromMs,
      ...(this.#withoutPrimarySinceMs === null ? [] : [this.#awaitsPrimaryUntilMs]),
    ];
    const next = Math.min(...ends.filter((endMs) => endMs > nowMs));
    return Number.isFinite(next) && next < LEASE_FOR_EVER_MS ? next : null;
  }

  get #refusesFromMs(): Ms {
    return this.#leaseUntilMs + this.#limits.withoutLeaseMs;
  }

  get #awaitsPrimaryUntilMs(): Ms {
    return (this.#withoutPrimarySinceMs ?? 0) + this.#limits.withoutPrimaryMs;
  }

  #setSince(nowMs: Ms): void {
    if (this.#isPrimaryKnown && !this.#isPrimaryDeaf) this.#withoutPrimarySinceMs = null;
    else this.#withoutPrimarySinceMs ??= nowMs;
  }

  #setOpen(): void {
    this.#openUntilMs = this.#refusal === null ? this.#leaseUntilMs : -Infinity;
  }
}

const NOT_CONFIRMED =
  "this pgquorum node has lost the quorum of its watchdog cluster, so its primary may be outdated";
