/** What is done to the cluster, and in which order. Pure: a seed gives the same rounds for ever. */

export interface Fault {
  readonly name: FaultName;
  /** Who suffers it. */
  readonly on: "leader" | "follower";
  /**
   * What must become of the virtual IP: it moves to another host, it stays, or either is right
   * (a holder that hears enough of its peers may go on).
   */
  readonly expects: "move" | "stay" | "either";
  readonly about: string;
}

export const FAULT_NAMES = [
  "stop",
  "kill-node",
  "kill-watchdog",
  "kill-pair",
  "kill-all",
  "freeze-watchdog",
  "freeze-node",
  "cut",
  "cut-in",
  "cut-out",
  "cut-peers",
  "cut-postgres",
  "loss",
  "flap",
  "clock",
  "follower-cut",
  "follower-freeze",
] as const;
export type FaultName = (typeof FAULT_NAMES)[number];

const LEADER_MOVES = { on: "leader", expects: "move" } as const;

export const FAULTS: Readonly<Record<FaultName, Fault>> = {
  stop: { name: "stop", ...LEADER_MOVES, about: "planned stop of the leader's node (SIGTERM)" },
  "kill-node": {
    name: "kill-node",
    ...LEADER_MOVES,
    about: "SIGKILL to every process of the leader's node but the guardian",
  },
  "kill-watchdog": { name: "kill-watchdog", ...LEADER_MOVES, about: "SIGKILL to the watchdog" },
  "kill-pair": {
    name: "kill-pair",
    ...LEADER_MOVES,
    about: "SIGKILL to watchdog and guardian at once",
  },
  "kill-all": {
    name: "kill-all",
    ...LEADER_MOVES,
    about: "SIGKILL to all processes of the node, guardian included",
  },
  "freeze-watchdog": {
    name: "freeze-watchdog",
    ...LEADER_MOVES,
    about: "SIGSTOP to the watchdog, SIGCONT when another holds",
  },
  "freeze-node": {
    name: "freeze-node",
    ...LEADER_MOVES,
    about: "SIGSTOP to all processes of the node, SIGCONT when another holds",
  },
  cut: { name: "cut", ...LEADER_MOVES, about: "no frame from or to the leader" },
  "cut-in": { name: "cut-in", ...LEADER_MOVES, about: "the leader hears nothing" },
  "cut-out": { name: "cut-out", ...LEADER_MOVES, about: "the leader is not heard" },
  "cut-peers": { name: "cut-peers", ...LEADER_MOVES, about: "cut from the other watchdogs only" },
  "cut-postgres": {
    name: "cut-postgres",
    on: "leader",
    expects: "stay",
    about: "the leader is cut from PostgreSQL only",
  },
  loss: { name: "loss", on: "leader", expects: "either", about: "10 to 70 % of its frames lost" },
  flap: { name: "flap", on: "leader", expects: "either", about: "its cable out and in again" },
  clock: {
    name: "clock",
    ...LEADER_MOVES,
    about: "stopped, and started again with another monotonic clock",
  },
  "follower-cut": {
    name: "follower-cut",
    on: "follower",
    expects: "stay",
    about: "a follower cut for longer than the lease",
  },
  "follower-freeze": {
    name: "follower-freeze",
    on: "follower",
    expects: "stay",
    about: "a follower frozen for longer than the lease",
  },
};

export interface PlannedRound {
  readonly fault: Fault;
  /** For whatever the round has to choose: percent, offset, which follower. In [0, 1). */
  readonly dice: number;
}

/** Each fault as often as the others, give or take one, in an order that the seed decides. */
export function planRounds(
  seed: number,
  count: number,
  names: readonly FaultName[],
): PlannedRound[] {
  const random = randomFrom(seed);
  const planned: PlannedRound[] = [];
  while (planned.length < count) {
    for (const name of shuffled(names, random)) {
      if (planned.length < count) planned.push({ fault: FAULTS[name], dice: random() });
    }
  }
  return planned;
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  return values
    .map((value) => ({ value, rank: random() }))
    .sort((left, right) => left.rank - right.rank)
    .map(({ value }) => value);
}

/** Numbers in [0, 1) that only the seed decides. Source: mulberry32, public domain. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
