import type { Judge } from "./broken-promise.ts";

/** At most one node is elected in a term, however often it restarts. */
export class OneLeader {
  readonly #judge: Judge;
  readonly #leaders = new Map<number, number>();

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  onElected(nodeId: number, term: number): void {
    const other = this.#leaders.get(term);
    if (other !== undefined) {
      this.#judge.broken(
        "one leader a term",
        `node ${nodeId} was elected in term ${term}, and so was node ${other}`,
      );
    }
    this.#leaders.set(term, nodeId);
  }
}
