import type { Durable } from "../../../src/watchdog/core/consensus/index.ts";
import type { ConsensusMessage } from "../../../src/wire/watchdog/index.ts";
import type { Judge } from "./broken-promise.ts";

/** Never two votes of one node in a term: neither granted to a peer nor given to itself. */
export class OneVote {
  readonly #judge: Judge;
  readonly #votes = new Map<string, number>();

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  /** A vote for itself that never reached the disk is counted by nobody. */
  onStored(nodeId: number, { term, votedFor }: Durable): void {
    if (votedFor === nodeId) this.#count(nodeId, term, nodeId);
  }

  onSent(nodeId: number, message: ConsensusMessage, to: number): void {
    if (message.type !== "vote-reply" || !message.granted) return;
    this.#count(nodeId, message.term, to);
  }

  #count(nodeId: number, term: number, candidateId: number): void {
    const key = `${nodeId} ${term}`;
    const other = this.#votes.get(key);
    if (other !== undefined && other !== candidateId) {
      this.#judge.broken(
        "one vote a term",
        `node ${nodeId} voted in term ${term} for ${other} and for ${candidateId}`,
      );
    }
    this.#votes.set(key, candidateId);
  }
}
