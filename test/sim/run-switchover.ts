/**
 * One switchover in an otherwise calm cluster whose leader is lost at one step of it: in the end one
 * primary takes writes, the old one or the new one, and all nodes know it.
 */
import { AssertionFailure } from "../../src/base/index.ts";
import { loseAtStep, loseLeader, type WayToLose } from "./faults/failover-steps.ts";
import { cutFromPostgres } from "./faults/hosts.ts";
import type { SwitchoverStep } from "./model/failover-step.ts";
import type { Host } from "./model/host.ts";
import type { Planted } from "./planted.ts";
import { BrokenPromise } from "./promises/index.ts";
import { World } from "./world.ts";

export interface SwitchoverRun {
  readonly seed: number;
  /** Null: nothing is lost. */
  readonly step: SwitchoverStep | null;
  readonly way: WayToLose;
  /** The new leader is lost at the same step. */
  readonly isTwice: boolean;
  /** Another node, perhaps the next leader, reaches no server for a while, from the loss on. */
  readonly isBlind: boolean;
  readonly planted: Planted;
}

export interface SwitchoverEnd {
  /** What was not as promised; null: all was. */
  readonly broken: string | null;
  readonly leadersLost: number;
  /** "done": the target is the primary; "undone": the old one is, or is again. */
  readonly outcome: "done" | "undone" | null;
}

const START_MS = 30_000;
/** A lease ends, commands run for up to 8 s, more than once, and 10 s pass for what does not come. */
const END_MS = 120_000;
const AWAY_MS_MAX = 8_000;
/** Who came back knows all again, and what has to follow follows. */
const CALM_MS = 30_000;
const TARGET_ID = 1;

export function runSwitchover({
  seed,
  step,
  way,
  isTwice,
  isBlind,
  planted,
}: SwitchoverRun): SwitchoverEnd {
  const world = new World({ seed, nodeCount: seed % 2 === 0 ? 3 : 5, planted, trace: null });
  const { random, hosts } = world;
  let leadersLost = 0;
  const lose = (host: Host): void => {
    leadersLost += 1;
    const others = hosts.filter((other) => other !== host);
    if (isBlind) cutFromPostgres(world, random.pick(others), random.magnitude(200, 8000));
    loseLeader(world, host, way, random.magnitude(4, AWAY_MS_MAX));
    if (isTwice && leadersLost === 1 && step !== null) loseAtStep(world, step, lose);
  };
  const tell = (broken: string | null, outcome: SwitchoverEnd["outcome"]): SwitchoverEnd => ({
    broken,
    leadersLost,
    outcome,
  });
  try {
    if (!world.runUntil(START_MS, () => primaryOfAll(world) === 0)) {
      return tell("the cluster did not come up", null);
    }
    world.runUntil(world.nowMs + 1000);
    if (step !== null) loseAtStep(world, step, lose);
    hosts[0]?.supervisor?.switchOver(TARGET_ID);
    const isOver = (): boolean => isRecorded(world) && primaryOfAll(world) !== null;
    if (!world.runUntil(world.nowMs + END_MS, isOver)) {
      return tell(`no end ${END_MS / 1000} s after it was asked for`, null);
    }
    // Whoever was away comes back, and must change nothing of it.
    const primaryId = primaryOfAll(world);
    const outcome = primaryId === TARGET_ID ? "done" : "undone";
    world.runUntil(world.nowMs + AWAY_MS_MAX + CALM_MS);
    // Who does not see its servers fails over, rightly, and the end may be another primary.
    return tell(isBlind ? null : whatIsWrong(world, primaryId), outcome);
  } catch (error) {
    if (error instanceof BrokenPromise) return tell(`${error.promise}: ${error.message}`, null);
    if (error instanceof AssertionFailure)
      return tell(`no bug shows itself: ${error.message}`, null);
    throw error;
  }
}

function whatIsWrong(world: World, primaryId: number | null): string | null {
  const { servers } = world.postgres;
  if (primaryOfAll(world) !== primaryId) return "the primary has changed afterwards";
  const primaries = servers.filter(({ isUp, isPrimary }) => isUp && isPrimary);
  if (primaries.length !== 1) return `${primaries.length} servers run as primaries`;
  const timeline = Math.max(...servers.map(({ timeline }) => timeline));
  if (timeline > 2) return `${timeline - 1} promotions for one switchover`;
  return null;
}

/** What became of it stands in the history. */
function isRecorded({ hosts }: World): boolean {
  return hosts.some(({ supervisor }) =>
    supervisor?.cluster?.history.some(({ kind }) => kind === "switchover"),
  );
}

/** Every node that runs, a majority, knows this one, which takes writes; null: not so. */
function primaryOfAll({ hosts, postgres }: World): number | null {
  const running = hosts.filter(({ supervisor }) => supervisor?.process.canRun === true);
  if (running.length <= hosts.length / 2) return null;
  const known = new Set(
    running.map(({ supervisor }) => {
      const cluster = supervisor?.cluster ?? null;
      return cluster === null || cluster.intent !== null ? null : cluster.primaryId;
    }),
  );
  const [primaryId = null] = known;
  if (known.size !== 1 || primaryId === null) return null;
  const server = postgres.server(primaryId);
  return server?.isUp === true && server.isPrimary ? primaryId : null;
}
