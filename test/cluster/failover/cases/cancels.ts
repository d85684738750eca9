/**
 * Cancels of commits that wait for a standby which is cut. PostgreSQL has stored such a commit and
 * answers the cancel with success; when the standby is promoted then, what was acknowledged is lost.
 * The same load goes straight to PostgreSQL first, where it has to lose rows: else this proves nothing.
 */
import { VIP, type Host } from "../../../../scripts/lab.d/layout.ts";
import { signalServer, sql } from "../../../../scripts/lab.d/postgres.ts";
import { primaryOf } from "../../../../scripts/lab.d/roles.ts";
import { waitFor } from "../../../../scripts/lab.d/shell.ts";
import { LabFailure } from "../../../../scripts/lab.d/failure.ts";
import type { StormReport } from "../crowd/messages.ts";
import type { CaseRecord } from "../figures.ts";
import { judge } from "../ledger.ts";
import { monotonicNowMs } from "../../../../src/os/index.ts";
import { keepLogs, putBack, storedRows, type Stage } from "../stage.ts";
import type { Case } from "./case.ts";

const SESSIONS = 24;
/** Apart from all other writers of the ledger. */
const WRITERS = { direct: 2_000, through: 3_000 } as const;
/** Rows of storms carry this number, and no round has it. */
const ROUND = -1;
const CUT_MS = 15_000;
const WRITE_MS = 45_000;

export const CANCELS: Case = {
  about: "cancels of commits that wait for a standby, then its promotion",
  roundsUsual: 1,
  async play(stage, record, { rounds, isOver, cancels }) {
    for (let count = 0; count < rounds && !isOver(); count += 1) {
      await playStorm(stage, record, { count, cancels });
      await putBack(stage);
    }
  },
};

async function playStorm(
  stage: Stage,
  record: CaseRecord,
  { count, cancels }: { readonly count: number; readonly cancels: number },
): Promise<void> {
  const { plan, crowd, say } = stage;
  record.rounds += 1;
  const primary = await primaryOf(plan);
  await crowd.rest();
  await cutStandbys(stage, primary);
  const storm = { round: ROUND, sessionsCount: SESSIONS, cancelsCount: cancels };
  const offset = count * SESSIONS;
  await crowd.storm({
    ...storm,
    host: primary.address,
    port: primary.ports.postgres,
    writersFrom: WRITERS.direct + offset,
  });
  await crowd.storm({
    ...storm,
    host: VIP,
    port: primary.ports.pgpool,
    writersFrom: WRITERS.through + offset,
  });
  await signalServer(primary, "SIGKILL");
  const [direct, through] = await crowd.endStorms();
  if (direct === undefined || through === undefined) throw new LabFailure("a storm was lost");
  await crowd.beginRound(stage.played.length + 1);
  await crowd.writeAfter(monotonicNowMs(), WRITE_MS);
  const report = await crowd.endRound();
  stage.played.push({ round: stage.played.length + 1, report });
  const stored = await storedRows(plan, ROUND, ROUND);
  const lostDirect = judge(direct.writes, stored).lost.length;
  const judged = judge(through.writes, stored);
  say(
    `cancels ${record.rounds}: straight to PostgreSQL ${inWords(direct)}, ${lostDirect} of them lost; through us ${inWords(through)}, ${judged.lost.length} lost`,
  );
  record.mustBeSome("acknowledged rows lost when clients go straight to PostgreSQL", lostDirect);
  if (record.mustBeNone("acknowledged rows lost through us", judged.lost.length)) {
    const kept = keepLogs(stage, `cancels-${record.rounds}`);
    record.complain(
      `round ${record.rounds}: ${judged.lost.length} acknowledged rows are lost; logs: ${kept}`,
    );
  }
  record.mustBeNone("rows stored that were said not to be", judged.denied.length);
}

function inWords({ writes, errors }: StormReport): string {
  const sum = (pick: (each: StormReport["writes"][number]) => readonly number[]): number =>
    writes.reduce((total, each) => total + pick(each).length, 0);
  const told = errors
    .map(({ text, count }) => `${count} × ${text}`)
    .slice(0, 4)
    .join("; ");
  return `${sum((each) => each.acknowledged)} acknowledged, ${sum((each) => each.unknown)} unknown, ${sum((each) => each.refused)} refused${told === "" ? "" : ` (${told})`}`;
}

/** They serve on, but nothing comes from the primary any more. */
async function cutStandbys({ plan, hosts }: Stage, primary: Host): Promise<void> {
  for (const host of hosts) {
    if (host.id === primary.id) continue;
    await sql(plan, host, ["ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"]);
  }
  const gone = await waitFor(async () => {
    const [count] = await sql(plan, primary, ["SELECT count(*) FROM pg_stat_replication"]);
    return count === "0" ? true : null;
  }, CUT_MS);
  if (gone === null) throw new LabFailure("the standbys are still connected");
}
