/** The leader is killed at each step of a failover; what it began is taken over. */
import { primaryOf } from "../../../../scripts/lab.d/roles.ts";
import { loseLeaderAt, STEP_NAMES } from "../leader-loss.ts";
import { playRound, struckWithLeader } from "../round.ts";
import { loseServer } from "../server-loss.ts";
import type { Case } from "./case.ts";

export const STEPS_CASE: Case = {
  about: "SIGKILL to the primary, then to the leader's node at one step of the failover",
  roundsUsual: STEP_NAMES.length,
  async play(stage, record, { rounds, isOver }) {
    for (let count = 0; count < rounds && !isOver(); count += 1) {
      const step = STEP_NAMES[count % STEP_NAMES.length] ?? "before the intent";
      await playRound(stage, record, {
        name: `leader killed ${step}`,
        expects: "failover",
        strikesNode: true,
        strike: ({ primary, leader }, logs) =>
          struckWithLeader(() => {
            const lose = (): Promise<unknown> => loseServer(primary, "kill");
            return loseLeaderAt(step, { stage, primary, leader, logs, lose });
          }),
        // The old one is dead: whoever else takes writes now was promoted beside the new one.
        afterwards: async () => {
          await primaryOf(stage.plan);
        },
      });
    }
  },
};
