import type { Host } from "../model/host.ts";
import type { Judge } from "./broken-promise.ts";

/**
 * At most one kernel answers for the VIP at any instant. When an opening ends is known when it
 * begins, so looking at each opening is looking at every instant.
 */
export class OneOpenVip {
  readonly #judge: Judge;
  readonly #hosts: () => readonly Host[];
  /** Between the end of one holder and the next one's beginning, the shortest. */
  constructor(judge: Judge, hosts: () => readonly Host[]) {
    this.#judge = judge;
    this.#hosts = hosts;
  }

  onOpening(host: Host): void {
    if (host.kernel.openUntilMs === 0) return;
    for (const other of this.#hosts()) {
      if (other === host || other.kernel.openUntilMs === 0) continue;
      const overlapMs = Math.min(host.kernel.openUntilMs, other.kernel.openUntilMs);
      this.#judge.broken(
        "at most one open VIP",
        `hosts ${other.id} and ${host.id} answer for the VIP, for up to ` +
          `${(overlapMs - this.#judge.nowMs).toFixed(1)} ms`,
      );
    }
  }
}
