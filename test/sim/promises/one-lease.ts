import type { Ms } from "../../../src/base/index.ts";
import type { Host } from "../model/host.ts";
import type { Judge } from "./broken-promise.ts";

/** At most one node at a time has a lease that a majority has confirmed. */
export class OneLease {
  readonly #judge: Judge;
  readonly #endsAtMs = new Map<number, Ms>();

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  /** @param lengthMs from now, in real time; not positive: it has none. */
  onLease(host: Host, lengthMs: Ms): void {
    const { nowMs } = this.#judge;
    this.#endsAtMs.set(host.id, nowMs + lengthMs);
    if (lengthMs <= 0) return;
    for (const [id, endMs] of this.#endsAtMs) {
      if (id === host.id || endMs <= nowMs) continue;
      this.#judge.broken(
        "one lease at a time",
        `nodes ${id} and ${host.id} both have a lease, for another ` +
          `${Math.min(endMs - nowMs, lengthMs).toFixed(1)} ms`,
      );
    }
  }

  onEnd(host: Host): void {
    this.#endsAtMs.delete(host.id);
  }
}
