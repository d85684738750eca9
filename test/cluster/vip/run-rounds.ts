/** The whole run: the stage is set, the observer proven, the rounds played, everything removed. */
import { setTimeout as sleep } from "node:timers/promises";
import { LabFailure } from "../../../scripts/lab.d/failure.ts";
import { labDirectory, readPlan } from "../../../scripts/lab.d/lab-directory.ts";
import { hostsOf, type LabPlan } from "../../../scripts/lab.d/layout.ts";
import { bringUp, tailOfLogs, takeDown, type Say } from "../../../scripts/lab.d/lifecycle.ts";
import { locked, undoing } from "../../../scripts/lab.d/locked-work.ts";
import { newPlan } from "../../../scripts/lab.d/new-plan.ts";
import { FAULTS, planRounds, type PlannedRound } from "./faults.ts";
import { inMs, overlapsCount, type Outcome, type RoundFigures } from "./figures.ts";
import { overlapsOf } from "./holders.ts";
import { Observer } from "./observer.ts";
import type { Fence, VipOptions } from "./options.ts";
import { QueryProbe } from "./query-probe.ts";
import { playRound } from "./round.ts";
import { settingsFor, startAnew, whole, type Stage, type Standing } from "./stage.ts";
import { strike } from "./strike.ts";

const WHOLE_WITHIN_MS = 30_000;
const PROOF_WITHIN_MS = 20_000;
const PROOF_LASTS_MS = 300;
const LOG_LINES = 30;
/** Then the logs would bury what happened. */
const LOGS_SHOWN_MAX = 5;

/** What is done with a cluster that is whole. */
type Play<T> = (stage: Stage, standing: Standing) => Promise<T>;

type StageOptions = Pick<VipOptions, "hostsCount" | "profile" | "fence">;

/** Makes a cluster with an observer, lets it be played with, and removes it, come what may. */
async function onStage<T>(
  options: StageOptions,
  say: Say,
  play: Play<T>,
): Promise<T & { readonly framesCount: number; readonly missedFrames: number }> {
  if (process.getuid?.() !== 0) {
    throw new LabFailure(
      "the cluster needs network namespaces, which need root",
      "Run it as root.",
    );
  }
  const directory = labDirectory("namespaces");
  const { hostsCount, profile, fence } = options;
  const plan = newPlan({
    directory,
    mode: "namespaces",
    nodesCount: hostsCount,
    profile,
    isDatabaseApart: true,
  });
  const cleanUp = (): Promise<void> => takeDown(directory, "namespaces");
  const work = async () => {
    if (readPlan(directory) !== null) say("removing the lab that is up");
    await cleanUp();
    await bringUp(plan, { settings: settingsFor(fence), isWithoutNodes: false }, say);
    const played = await watched(plan, { fence, say }, play);
    await cleanUp();
    return played;
  };
  return locked("namespaces", () => undoing(work, cleanUp));
}

async function watched<T>(
  plan: LabPlan,
  { fence, say }: Pick<Stage, "fence" | "say">,
  play: Play<T>,
): Promise<T & { readonly framesCount: number; readonly missedFrames: number }> {
  const hosts = hostsOf(plan);
  const observer = await Observer.open(hosts);
  const probe = new QueryProbe(plan);
  try {
    const stage: Stage = { plan, hosts, observer, probe, fence, say };
    const played = await play(stage, await mustBeWhole(stage));
    const missedFrames = await observer.close();
    return { ...played, framesCount: observer.framesCount, missedFrames };
  } finally {
    probe.close();
    await observer.close();
  }
}

export async function mustBeWhole(stage: Stage): Promise<Standing> {
  const standing = await whole(stage, WHOLE_WITHIN_MS);
  if (standing !== null) return standing;
  throw new LabFailure(
    "the cluster does not come to rest",
    await tailOfLogs(stage.hosts, LOG_LINES),
  );
}

export async function runRounds(options: VipOptions, say: Say): Promise<Outcome> {
  const beganMs = performance.now();
  const planned = planRounds(options.seed, options.rounds, options.faults);
  const played = await onProvenStage(options, say, async (stage, standing) => ({
    rounds: await playRounds(stage, planned, standing),
  }));
  const { seed, hostsCount, profile, fence } = options;
  const seconds = (performance.now() - beganMs) / 1000;
  const ok = isPassed(fence, played.rounds);
  return { ok, seed, hostsCount, profile, fence, seconds, ...played };
}

/** A stage whose observer has seen two holders where there was no fence; then the fence is there. */
export function onProvenStage<T>(options: StageOptions, say: Say, play: Play<T>) {
  return onStage({ ...options, fence: "none" }, say, async (stage, standing) => {
    if (options.fence === "none") {
      return { observerProofMs: null, ...(await play(stage, standing)) };
    }
    const observerProofMs = await proveObserver(stage, standing);
    const fenced: Stage = { ...stage, fence: options.fence };
    await startAnew(fenced);
    return { observerProofMs, ...(await play(fenced, await mustBeWhole(fenced))) };
  });
}

/** Without a fence the run only shows that the observer sees what it must. */
function isPassed(fence: Fence, rounds: readonly RoundFigures[]): boolean {
  if (fence !== "none") return rounds.every((round) => round.complaint === null);
  const frozen = rounds.filter((round) => round.fault.startsWith("freeze-"));
  return frozen.length > 0 && frozen.every((round) => round.overlaps.length > 0);
}

/** A frozen leader without a fence goes on answering beside its successor: that must be seen. */
async function proveObserver(stage: Stage, { leader }: Standing): Promise<number> {
  const { observer, say } = stage;
  observer.forget();
  const struck = await strike(stage, { fault: FAULTS["freeze-watchdog"], dice: 0 }, leader);
  await observer.until(() => overlapsOf(observer.holders.runs).length > 0, PROOF_WITHIN_MS);
  await sleep(PROOF_LASTS_MS);
  const [overlap] = overlapsOf(observer.holders.runs);
  await struck.undo();
  if (overlap === undefined) {
    throw new LabFailure(
      `the observer saw no second holder when ${leader.name} was frozen without a fence`,
      "It would see none in the rounds either, so the run is void.",
    );
  }
  const lastedMs = overlap.toMs - overlap.fromMs;
  say(
    `the observer is proven: without a fence, frozen ${overlap.holder} and ${overlap.others.join(", ")} answered side by side for ${inMs(lastedMs)} ms`,
  );
  return lastedMs;
}

/** One round after the other; after one that left the cluster broken, all nodes are started anew. */
export async function playRounds(
  stage: Stage,
  plannedRounds: readonly PlannedRound[],
  whenWhole: Standing,
): Promise<RoundFigures[]> {
  const rounds: RoundFigures[] = [];
  let standing: Standing = whenWhole;
  for (const [index, planned] of plannedRounds.entries()) {
    const played = await playRound(stage, planned, standing);
    const figures: RoundFigures = { round: index + 1, ...played.figures };
    rounds.push(figures);
    stage.say(progressOf(figures, plannedRounds.length));
    const failuresCount = rounds.filter((round) => round.complaint !== null).length;
    if (figures.complaint !== null && failuresCount <= LOGS_SHOWN_MAX && stage.fence !== "none") {
      stage.say(`the nodes' logs:\n${await tailOfLogs(stage.hosts, LOG_LINES)}`);
    }
    if (played.standing === null) {
      stage.say("starting all nodes anew");
      await startAnew(stage);
    }
    standing = played.standing ?? (await mustBeWhole(stage));
  }
  stage.say(`${rounds.length} rounds, ${overlapsCount(rounds)} overlaps`);
  return rounds;
}

function progressOf(figures: RoundFigures, count: number): string {
  const { round, fault, detail, victim, holder, takenMs, queryMs, complaint } = figures;
  const what = `${String(round).padStart(4)}/${count} ${fault}${detail === "" ? "" : ` ${detail}`} of ${victim}`;
  const taken = takenMs === null ? "stayed" : `taken after ${inMs(takenMs)} ms`;
  const asked = queryMs === null ? "" : `, a query after ${inMs(queryMs)} ms`;
  const judged = complaint === null ? "" : `  FAILED: ${complaint}`;
  return `${what}: ${taken}${asked}; now ${holder ?? "nobody"}${judged}`;
}
