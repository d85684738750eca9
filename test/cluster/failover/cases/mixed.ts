/**
 * The primary is lost in one of three ways, perhaps with the leader at some step of the failover,
 * perhaps while the synchronous standby is just coming back: whatever was acknowledged stays.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { startServer, stopServer } from "../../../../scripts/lab.d/postgres.ts";
import { PARAMETERS } from "../../../../src/config/index.ts";
import { loseLeaderAt, STEP_NAMES } from "../leader-loss.ts";
import { playRound, struckBy, struckWithLeader, type RoundPlan } from "../round.ts";
import { bringBack, loseServer, SERVER_LOSSES } from "../server-loss.ts";
import { synchronousStandby, type Stage } from "../stage.ts";
import type { Case, CaseOptions } from "./case.ts";

const RESTART_SHARE = 0.4;
const LEADER_SHARE = 0.5;
const RESTARTED_MS_MAX = 1_500;
/** Of the lab's standbys the one that every commit waits for may change; the choice must see that. */
const CHOICE = "failover_candidate";

export const MIXED: Case = {
  about: "kill, freeze or cut of the primary, with leaders killed and standbys restarted",
  roundsUsual: 4,
  settings: CHOICE in PARAMETERS ? [`${CHOICE} = 'lsn'`] : [],
  async play(stage, record, options) {
    for (let count = 0; count < options.rounds && !options.isOver(); count += 1) {
      await playRound(stage, record, mixedRound(stage, count, options));
    }
  },
};

function mixedRound(stage: Stage, count: number, { dice }: CaseOptions): RoundPlan {
  const how = SERVER_LOSSES[count % SERVER_LOSSES.length] ?? "kill";
  const restarts = CHOICE in PARAMETERS && dice() < RESTART_SHARE;
  // With a host cut off and another node killed, two of three are lost: there is no quorum.
  const hasStep = dice() < LEADER_SHARE && how !== "cut";
  const step = hasStep ? STEP_NAMES[Math.floor(dice() * STEP_NAMES.length)] : undefined;
  const restartedMs = dice() * RESTARTED_MS_MAX;
  const words = [
    `primary ${how}`,
    ...(step === undefined ? [] : [`leader killed ${step}`]),
    ...(restarts ? ["standby restarted"] : []),
  ];
  return {
    name: words.join(", "),
    expects: "failover",
    // A host that is cut off may have the leader and the virtual IP with it.
    strikesNode: step !== undefined || how === "cut",
    strike: async ({ primary, leader }, logs) => {
      if (restarts) {
        const standby = await synchronousStandby(stage, primary);
        await stopServer(standby);
        await startServer(stage.plan, standby);
        await sleep(restartedMs);
      }
      const lose = (begins?: () => void): Promise<unknown> => loseServer(primary, how, begins);
      if (step === undefined) return struckBy(lose);
      return struckWithLeader(() => loseLeaderAt(step, { stage, primary, leader, logs, lose }));
    },
    afterwards: ({ primary }) => bringBack(primary, how),
  };
}
