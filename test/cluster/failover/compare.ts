/** In the end of a case: all its rows once more, and whether the comparison would have found a loss. */
import { rowKey } from "../../../scripts/lab.d/demo/load-messages.ts";
import { LEDGER } from "./crowd/messages.ts";
import type { CaseRecord } from "./figures.ts";
import { judge } from "./ledger.ts";
import { areSumsEqual, askServing, storedRows, type Stage } from "./stage.ts";

/** Rounds whose rows are compared at a time: what a program prints is bounded. */
const ROUNDS_AT_ONCE = 20;

/** What one round left may have been lost in a later one. */
export async function compareAll(stage: Stage, record: CaseRecord): Promise<void> {
  if (stage.played.length === 0) return;
  const lost = await lostRows(stage);
  if (record.mustBeNone("acknowledged rows lost, all rounds compared in the end", lost.length)) {
    record.complain(`${lost.length} rows of earlier rounds are missing in the end`);
  }
  const torn = (await areSumsEqual(stage.plan)) ? 0 : 1;
  if (record.mustBeNone("transactions of which a part is stored", torn)) {
    record.complain("the sums of the four tables differ: a transaction was stored in part");
  }
  await proveComparison(stage, record);
}

async function lostRows({ plan, played }: Stage): Promise<string[]> {
  const lost: string[] = [];
  for (let from = 0; from < played.length; from += ROUNDS_AT_ONCE) {
    const some = played.slice(from, from + ROUNDS_AT_ONCE);
    const rounds = some.map(({ round }) => round);
    const stored = await storedRows(plan, Math.min(...rounds) - 1, Math.max(...rounds));
    const writes = some.flatMap(({ report }) => report.writes);
    lost.push(...judge(writes, stored).lost);
  }
  return lost;
}

/** One acknowledged row is deleted on the primary, past every node: it has to be missed. */
async function proveComparison(stage: Stage, record: CaseRecord): Promise<void> {
  const writes = stage.played.flatMap(({ report }) => report.writes);
  const victim = writes.find(({ acknowledged }) => acknowledged.length > 0);
  const number = victim?.acknowledged[0];
  if (victim === undefined || number === undefined) return;
  const where = `writer = ${victim.writer} AND number = ${number}`;
  await askServing(stage.plan, `DELETE FROM ${LEDGER} WHERE ${where}`);
  const lost = await lostRows(stage);
  const isMissed = lost.includes(rowKey(victim.writer, number));
  record.mustBeSome("rows missed that were deleted to see that", isMissed ? 1 : 0);
}
