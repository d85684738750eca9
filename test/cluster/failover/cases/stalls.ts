/** Servers that answer nothing for some seconds, and then go on: no reason for a failover. */
import { setTimeout as sleep } from "node:timers/promises";
import { postmaster, signalServer } from "../../../../scripts/lab.d/postgres.ts";
import { signalAll } from "../../../../scripts/lab.d/processes.ts";
import { playRound, struckBy } from "../round.ts";
import type { Case } from "./case.ts";

const STALL_MS_MIN = 1_000;
const STALL_MS_MAX = 5_000;
const WHAT = ["all of the primary", "the primary's postmaster", "all of a standby"] as const;

export const STALLS: Case = {
  about: "SIGSTOP for 1 to 5 s, which the checks allow for: nobody is taken out",
  roundsUsual: 6,
  // 4 attempts of 2 s, 1 s apart: far beyond 5 s.
  settings: ["health_check_max_retries = 3"],
  async play(stage, record, { rounds, isOver, dice }) {
    for (let count = 0; count < rounds && !isOver(); count += 1) {
      const what = WHAT[count % WHAT.length] ?? WHAT[0];
      const stallMs = STALL_MS_MIN + dice() * (STALL_MS_MAX - STALL_MS_MIN);
      await playRound(stage, record, {
        name: `${what}, ${(stallMs / 1000).toFixed(1)} s`,
        expects: "nothing",
        strike: ({ primary }) =>
          struckBy(async () => {
            const standby = stage.hosts.find((host) => host.id !== primary.id) ?? primary;
            const server = what === "all of a standby" ? standby : primary;
            const parent = postmaster(server);
            const one = what === "the primary's postmaster" && parent !== null ? [parent] : null;
            if (one === null) await signalServer(server, "SIGSTOP");
            else signalAll(one, "SIGSTOP");
            await sleep(stallMs);
            if (one === null) await signalServer(server, "SIGCONT");
            else signalAll(one, "SIGCONT");
          }),
        // A failover that was asked for at the last moment still comes.
        afterwards: () => sleep(1_500),
      });
    }
  },
};
