/** A node that could stand for election, as far as is known here. */
export interface Candidate {
  readonly id: number;
  /** wd_priority: the larger stands first. */
  readonly priority: number;
  /** It lives, so it could win. */
  readonly isThere: boolean;
}

/**
 * In which order nodes stand for election: the highest wd_priority first, the lower id between
 * equals; those that are not there come last, so that nobody waits for them. It only spreads the
 * candidates in time: whoever wins a majority leads, and a leader stays when a node of higher
 * priority comes back. Nodes may differ in what they know of each other; then two may stand at
 * once, and one of them tries again.
 */
export function standingOrder(candidates: readonly Candidate[]): readonly number[] {
  return [...candidates]
    .sort((a, b) => {
      return Number(b.isThere) - Number(a.isThere) || b.priority - a.priority || a.id - b.id;
    })
    .map(({ id }) => id);
}
