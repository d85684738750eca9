/** The postmaster of the primary is killed; its children see that and end, each in its own time. */
import { postmaster } from "../../../../scripts/lab.d/postgres.ts";
import { signalAll } from "../../../../scripts/lab.d/processes.ts";
import { playRound, struckBy } from "../round.ts";
import type { Case } from "./case.ts";

export const CRASH: Case = {
  about: "SIGKILL to the primary's postmaster",
  roundsUsual: 3,
  async play(stage, record, { rounds, isOver }) {
    for (let count = 0; count < rounds && !isOver(); count += 1) {
      await playRound(stage, record, {
        name: "postmaster killed",
        expects: "failover",
        strike: ({ primary }) =>
          struckBy(async () => {
            const target = postmaster(primary);
            if (target !== null) signalAll([target], "SIGKILL");
          }),
        targets: {
          detected: { p99: 50 },
          writes: { p50: 600, p99: 2000 },
        },
      });
    }
  },
};
