import type { Judge } from "./broken-promise.ts";

/** No write is forwarded under an epoch from before a promotion that has begun. */
export class NoStaleWrite {
  readonly #judge: Judge;
  #promotedEpoch = 0;

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  onPromotion(epoch: number): void {
    this.#promotedEpoch = Math.max(this.#promotedEpoch, epoch);
  }

  onWrite(nodeId: number, epoch: number): void {
    if (epoch >= this.#promotedEpoch) return;
    this.#judge.broken(
      "no write under an old epoch",
      `a worker of node ${nodeId} forwards a write by epoch ${epoch} after the promotion of ` +
        `epoch ${this.#promotedEpoch} had begun`,
    );
  }
}
