/** A standby takes over from the primary because somebody wants it, and no client may notice more than a pause. */
import { join } from "node:path";
import { LabFailure } from "../../../../scripts/lab.d/failure.ts";
import { environmentOf, insideHost } from "../../../../scripts/lab.d/inside.ts";
import { files } from "../../../../scripts/lab.d/layout.ts";
import { primaryOf } from "../../../../scripts/lab.d/roles.ts";
import { run } from "../../../../scripts/lab.d/shell.ts";
import { playRound, struckBy, type Standing } from "../round.ts";
import { synchronousStandby, type Stage } from "../stage.ts";
import type { Case } from "./case.ts";

const SWITCHOVER_MS = 60_000;

export const SWITCHOVER: Case = {
  about: "pgquorum switchover to the synchronous standby",
  roundsUsual: 3,
  async play(stage, record, { rounds, isOver }) {
    for (let count = 0; count < rounds && !isOver(); count += 1) {
      await playRound(stage, record, {
        name: "switchover",
        expects: "switchover",
        strike: (standing) => struckBy(() => switchOver(stage, standing)),
        targets: { stall: { p50: 400, p99: 1500 } },
      });
    }
  },
};

async function switchOver(stage: Stage, { primary, leader }: Standing): Promise<void> {
  const { plan } = stage;
  const target = await synchronousStandby(stage, primary);
  const program = join(plan.repository, "bin", "pgquorum");
  const words = [program, "switchover", "--to", String(target.id), "--json"];
  const where = ["-f", files.pgpoolConf(leader)];
  await run(insideHost(leader, [...words, ...where]), {
    env: environmentOf(plan, leader),
    timeoutMs: SWITCHOVER_MS,
  });
  const now = await primaryOf(plan);
  if (now.id === target.id) return;
  throw new LabFailure(`${target.name} should have taken over, and ${now.name} is the primary`);
}
