/** A node that could stand for election. */
export interface Candidate {
  readonly id: number;
  /** wd_priority: the larger stands first. */
  readonly priority: number;
}

/**
 * How many of `others` stand for election before this node; 0 stands first. The highest
 * wd_priority goes first, the lower id between equals. It only spreads the candidates in time:
 * whoever wins a majority leads, and a leader stays when a node of higher priority comes back.
 *
 * @param others those that could stand: neither the leader whose end would be the reason for an
 *   election, nor nodes that are not there. Nodes may differ about them; then two may stand at
 *   once, and one tries again.
 */
export function rankOf(self: Candidate, others: readonly Candidate[]): number {
  return others.filter(({ id, priority }) => {
    return priority > self.priority || (priority === self.priority && id < self.id);
  }).length;
}
