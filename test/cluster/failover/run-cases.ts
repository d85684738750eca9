/** The whole run: for each case a lab is made, its rounds are played, and all is removed again. */
import { LabFailure } from "../../../scripts/lab.d/failure.ts";
import { labDirectory, readPlan } from "../../../scripts/lab.d/lab-directory.ts";
import { hostsOf, type LabPlan } from "../../../scripts/lab.d/layout.ts";
import { bringUp, takeDown, type Say } from "../../../scripts/lab.d/lifecycle.ts";
import { locked, undoing } from "../../../scripts/lab.d/locked-work.ts";
import { newPlan } from "../../../scripts/lab.d/new-plan.ts";
import { isInterrupted } from "../../../scripts/lab.d/shell.ts";
import { randomFrom } from "../vip/faults.ts";
import { CASES, type Case, type CaseName } from "./cases/index.ts";
import { compareAll } from "./compare.ts";
import { CrowdLink } from "./crowd/link.ts";
import { CaseRecord, notPlayed, type CaseOutcome, type Outcome } from "./figures.ts";
import type { FailoverOptions } from "./options.ts";
import { crowdOptions, keepLogs, makeTables, settingsFor, type Stage } from "./stage.ts";

export async function runCases(options: FailoverOptions, say: Say): Promise<Outcome> {
  if (process.getuid?.() !== 0) {
    throw new LabFailure(
      "the cluster needs network namespaces, which need root",
      "Run it as root.",
    );
  }
  const beganMs = performance.now();
  const secondsGone = (): number => (performance.now() - beganMs) / 1000;
  const dice = randomFrom(options.seed);
  const cases: CaseOutcome[] = [];
  for (const name of options.cases) {
    if (options.seconds !== null && secondsGone() > options.seconds) {
      cases.push(notPlayed(name, "its time was over"));
      continue;
    }
    const one = CASES[name];
    const rounds = options.rounds ?? one.roundsUsual;
    const isOver = (): boolean => options.seconds !== null && secondsGone() > options.seconds;
    cases.push(
      await playCase(name, one, { rounds, dice, isOver, cancels: options.cancels }, options, say),
    );
  }
  const { seed, profile } = options;
  const ok = cases.every(({ promises }) => promises.every((promise) => promise.ok));
  return { ok, seed, profile, seconds: secondsGone(), cases };
}

async function playCase(
  name: CaseName,
  one: Case,
  play: Parameters<Case["play"]>[2],
  options: FailoverOptions,
  say: Say,
): Promise<CaseOutcome> {
  const { profile } = options;
  const directory = labDirectory("namespaces");
  const plan = newPlan({
    directory,
    mode: "namespaces",
    nodesCount: 3,
    profile,
    isDatabaseApart: false,
  });
  const missing = one.missing?.(plan) ?? null;
  if (missing !== null) return notPlayed(name, missing);
  const record = new CaseRecord(name);
  const cleanUp = (): Promise<void> => takeDown(directory, "namespaces");
  const work = async (): Promise<void> => {
    if (readPlan(directory) !== null) say("removing the lab that is up");
    await cleanUp();
    say(`${name}: ${one.about}`);
    const settings = settingsFor(plan, one.settings ?? []);
    await bringUp(plan, { settings, isWithoutNodes: false }, () => undefined);
    await makeTables(plan);
    await withCrowd(plan, options, say, (stage) => played(stage, record, one, play));
    await cleanUp();
  };
  await locked("namespaces", () => undoing(work, cleanUp));
  return record.finish();
}

/** A lab that cannot be put back ends its case, not those that come after it. */
async function played(
  stage: Stage,
  record: CaseRecord,
  one: Case,
  play: Parameters<Case["play"]>[2],
): Promise<void> {
  try {
    await one.play(stage, record, play);
    await compareAll(stage, record);
  } catch (error) {
    if (!(error instanceof LabFailure) || isInterrupted()) throw error;
    const why = `${error.message}${error.hint === null ? "" : ` (${error.hint})`}`;
    const kept = keepLogs(stage, `${record.name}-end`);
    stage.say(`${record.name} ends here: ${why}`);
    record.complain(`it ended early after round ${record.rounds}: ${why}; logs: ${kept}`);
  }
}

async function withCrowd(
  plan: LabPlan,
  { rate, logs }: FailoverOptions,
  say: Say,
  work: (stage: Stage) => Promise<void>,
): Promise<void> {
  const crowd = new CrowdLink(plan, crowdOptions(rate));
  try {
    await crowd.running();
    await work({ plan, hosts: hostsOf(plan), crowd, say, logs, played: [] });
  } finally {
    crowd.kill();
  }
}
