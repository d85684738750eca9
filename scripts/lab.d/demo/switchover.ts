/** `scripts/lab switchover`: another server takes over while clients work, and what they noticed. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicNowMs } from "../../../src/os/index.ts";
import { environmentOf, insideHost } from "../inside.ts";
import { ACCOUNTS, files, type Host, type LabPlan } from "../layout.ts";
import type { Say } from "../lifecycle.ts";
import { sqlInDatabase } from "../postgres.ts";
import { primaryOf } from "../roles.ts";
import { tryRun } from "../shell.ts";
import { formatTable } from "../table.ts";
import { LoadLink } from "./load-link.ts";
import { LEDGER_TABLE, lostRows } from "./load-messages.ts";
import { loadOptions, makeTables, READERS, WRITERS } from "./story.ts";

const RUNNING_MS = 30_000;
const CALM_MS = 2_000;
const WRITE_AGAIN_MS = 20_000;
const SWITCHOVER_MS = 120_000;

/**
 * @param to null: whom the nodes choose.
 * @returns the exit code: 0 when it was done, no client saw an error and no row is lost.
 */
export async function runSwitchover(
  plan: LabPlan,
  { leader, to, isDryRun }: { leader: Host; to: Host | null; isDryRun: boolean },
  say: Say,
): Promise<number> {
  const program = [join(plan.repository, "bin", "pgquorum"), "switchover"];
  const target = to === null ? [] : ["--to", String(to.id)];
  const how = [...target, ...(isDryRun ? ["--dry-run"] : [])];
  const words = insideHost(leader, [...program, "-f", files.pgpoolConf(leader), ...how]);
  const switchOver = async (): Promise<number> => {
    const options = { env: environmentOf(plan, leader), timeoutMs: SWITCHOVER_MS };
    const { code, stdout, stderr } = await tryRun(words, options);
    process.stdout.write(`${stdout}${stderr}`);
    return code;
  };
  if (isDryRun) return switchOver();
  await makeTables(plan);
  const load = new LoadLink(plan, loadOptions(plan));
  try {
    await load.running(RUNNING_MS);
    say(`${WRITERS} clients insert numbered rows, ${READERS} read`);
    await sleep(CALM_MS);
    const code = await switchOver();
    await load.writeAfter(monotonicNowMs(), WRITE_AGAIN_MS);
    await sleep(CALM_MS);
    const noticed = await count(plan, load);
    process.stdout.write(`${formatNoticed(noticed)}\n`);
    return code === 0 && noticed.errors.length === 0 && noticed.lost === 0 ? 0 : 1;
  } finally {
    load.kill();
  }
}

interface Noticed {
  readonly longestWriteMs: number;
  readonly acknowledged: number;
  readonly lost: number;
  readonly errors: readonly { readonly text: string; readonly count: number }[];
}

/** Ends the load and compares what its clients were told with what the primary has. */
async function count(plan: LabPlan, load: LoadLink): Promise<Noticed> {
  const { acknowledged, longestWriteMs, errors } = await load.stop();
  const primary = await primaryOf(plan);
  const ask = `SELECT writer, number FROM ${LEDGER_TABLE}`;
  const rows = await sqlInDatabase(plan, primary, ACCOUNTS.application.database, [ask]);
  const lost = lostRows(acknowledged, new Set(rows)).length;
  const total = acknowledged.reduce((sum, numbers) => sum + numbers.length, 0);
  process.stdout.write(`${primary.name} is the primary now\n\n`);
  return { longestWriteMs, acknowledged: total, lost, errors };
}

function formatNoticed({ longestWriteMs, acknowledged, lost, errors }: Noticed): string {
  const errorsCount = errors.reduce((sum, error) => sum + error.count, 0);
  return formatTable(
    ["what clients noticed", ""],
    [
      ["longest write", `${Math.round(longestWriteMs)} ms`],
      ["errors", String(errorsCount)],
      ...errors.map(({ text, count }) => ["", `${count} × ${text}`]),
      ["acknowledged rows", String(acknowledged)],
      ["acknowledged rows lost", String(lost)],
    ],
  );
}
