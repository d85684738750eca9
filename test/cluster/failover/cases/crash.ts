/** The postmaster of the primary is killed. */
import { playRound, struckBy } from "../round.ts";
import { loseServer } from "../server-loss.ts";
import type { Case } from "./case.ts";

export const CRASH: Case = {
  about: "SIGKILL to the primary's postmaster",
  roundsUsual: 3,
  async play(stage, record, { rounds, isOver }) {
    for (let count = 0; count < rounds && !isOver(); count += 1) {
      await playRound(stage, record, {
        name: "postmaster killed",
        expects: "failover",
        strike: ({ primary }) => struckBy((begins) => loseServer(primary, "kill", begins)),
        targets: {
          detected: { p99: 50 },
          writes: { p50: 600, p99: 2000 },
        },
      });
    }
  },
};
