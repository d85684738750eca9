/**
 * Every process of the primary is stopped, and goes on when its successor has taken over: it may
 * then do what it was told before, and must acknowledge none of it to anybody.
 */
import { playRound, struckBy } from "../round.ts";
import { bringBack, loseServer } from "../server-loss.ts";
import type { Case } from "./case.ts";

/** For the lab's profile: `health_check_timeout` and one `health_check_period`, in milliseconds. */
const TIMEOUT_AND_PERIOD_MS = 3_000;

export const FREEZE: Case = {
  about: "SIGSTOP to all processes of the primary, SIGCONT when another takes writes",
  roundsUsual: 2,
  // Retries are patience that was asked for: without them what is noticed is acted upon at once.
  settings: ["health_check_max_retries = 0"],
  async play(stage, record, { rounds, isOver }) {
    for (let count = 0; count < rounds && !isOver(); count += 1) {
      await playRound(stage, record, {
        name: "primary frozen",
        expects: "failover",
        strike: ({ primary }) => struckBy(() => loseServer(primary, "freeze")),
        afterwards: ({ primary }) => bringBack(primary, "freeze"),
        targets: { detected: { max: TIMEOUT_AND_PERIOD_MS } },
      });
    }
  },
};
