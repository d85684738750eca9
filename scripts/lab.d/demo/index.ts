/**
 * The demonstration: from nothing to a cluster that gets over a dead primary and a dead leader,
 * with every promise measured. It never decides whether a promise held on its own account: see
 * `report.ts`. Read `story.ts` first.
 */
import type { Command } from "../arguments.ts";
import { readPlan } from "../lab-directory.ts";
import { hostsOf, type LabPlan } from "../layout.ts";
import { bringUp, tailOfLogs, takeDown, type Say } from "../lifecycle.ts";
import { isInterrupted } from "../shell.ts";
import { LoadLink } from "./load-link.ts";
import { formatReport, judge, type DemoFigures } from "./report.ts";
import {
  countLosses,
  killLeader,
  killPrimary,
  loadOptions,
  prepare,
  READERS,
  watchReads,
  WRITERS,
} from "./story.ts";

export { runSwitchover } from "./switchover.ts";
export { runLoad } from "./load-process.ts";

const RUNNING_MS = 30_000;
const LOG_LINES = 25;

/** Returns the exit code: 0 when every promise held. The caller removes the lab on a failure. */
export async function runDemo(
  plan: LabPlan,
  { isJson, isKept }: Extract<Command, { name: "demo" }>,
  say: Say,
): Promise<number> {
  const startedMs = performance.now();
  if (readPlan(plan.directory) !== null)
    say("removing the lab that is up: the story starts from nothing");
  await takeDown(plan.directory, plan.mode);
  await bringUp(plan, { settings: [], isWithoutNodes: false }, say);
  const told = await showingLogs(plan, () => tellStory(plan, say));
  const figures = { ...told, seconds: (performance.now() - startedMs) / 1000 };
  const promises = judge(figures, plan.mode === "namespaces");
  const ok = promises.every((promise) => promise.ok);
  if (!ok) await showLogs(plan);
  if (isKept) {
    say("the lab stays up: `scripts/lab down` removes it");
  } else {
    await takeDown(plan.directory, plan.mode);
    say("everything is removed again");
  }
  const json = JSON.stringify({ ok, ...figures, promises }, null, 2);
  process.stdout.write(`${isJson ? json : formatReport(figures, promises)}\n`);
  return ok ? 0 : 1;
}

/** The logs go with the lab, so a failure shows them before. */
async function showingLogs<T>(plan: LabPlan, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isInterrupted()) await showLogs(plan);
    throw error;
  }
}

async function showLogs(plan: LabPlan): Promise<void> {
  process.stderr.write(`${await tailOfLogs(hostsOf(plan), LOG_LINES)}\n`);
}

async function tellStory(plan: LabPlan, say: Say): Promise<Omit<DemoFigures, "seconds">> {
  await prepare(plan);
  const load = new LoadLink(plan, loadOptions(plan));
  try {
    await load.running(RUNNING_MS);
    const way = plan.mode === "loopback" ? "one or the other node" : "the VIP";
    say(`${WRITERS} clients insert numbered rows, ${READERS} read, all through ${way}`);
    const readsPerBackend = await watchReads(plan);
    const spread = Object.entries(readsPerBackend).map(([host, count]) => `${host} ${count}`);
    say(`reads so far: ${spread.join(", ")}`);
    const primaryFailover = await killPrimary(plan, load, say);
    const leaderFailover = await killLeader(plan, load, say);
    const counted = await countLosses(plan, load);
    say(`${counted.writes.acknowledged} rows were acknowledged, ${counted.writes.lost} are lost`);
    return { readsPerBackend, primaryFailover, leaderFailover, ...counted };
  } finally {
    load.kill();
  }
}
