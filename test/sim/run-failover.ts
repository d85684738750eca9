/**
 * One failover in an otherwise calm cluster whose leader is lost at one step of it: the end must be
 * one primary that all nodes know, and one promotion.
 */
import { AssertionFailure, type Ms } from "../../src/base/index.ts";
import { loseAtStep, loseLeader, type WayToLose } from "./faults/failover-steps.ts";
import type { FailoverStep } from "./model/failover-step.ts";
import type { Host } from "./model/host.ts";
import type { Planted } from "./planted.ts";
import { BrokenPromise } from "./promises/index.ts";
import { World } from "./world.ts";

export interface FailoverRun {
  readonly seed: number;
  readonly step: FailoverStep;
  readonly way: WayToLose;
  /** The new leader is lost at the same step. */
  readonly isTwice: boolean;
  readonly planted: Planted;
}

export interface FailoverEnd {
  /** What was not as promised; null: all was. */
  readonly broken: string | null;
  readonly leadersLost: number;
  readonly commandsBegun: number;
  /** From the loss of the primary until all know the next one; null: they do not. */
  readonly tookMs: Ms | null;
}

const START_MS = 30_000;
/** Servers are missed, a lease ends, a command runs for up to 8 s, more than once. */
const END_MS = 90_000;
const AWAY_MS_MAX = 8_000;
/** Who came back knows all again. */
const CALM_MS = 8_000;
const NODE_COUNTS = [3, 5] as const;

export function runFailover({ seed, step, way, isTwice, planted }: FailoverRun): FailoverEnd {
  const nodeCount = NODE_COUNTS[seed % NODE_COUNTS.length] ?? 3;
  const world = new World({ seed, nodeCount, planted, trace: null });
  const { random, hosts, postgres } = world;
  let leadersLost = 0;
  let commandsBegun = 0;
  let tookMs: Ms | null = null;
  const tell = (broken: string | null): FailoverEnd => ({
    broken,
    leadersLost,
    commandsBegun,
    tookMs,
  });
  const lose = (host: Host): void => {
    leadersLost += 1;
    loseLeader(world, host, way, random.magnitude(4, AWAY_MS_MAX));
    if (isTwice && leadersLost === 1) loseAtStep(world, step, lose);
  };
  try {
    const isWhole = (): boolean => hosts.every((host) => primaryKnownBy(host) === 0);
    if (!world.runUntil(START_MS, isWhole)) return tell("the cluster did not come up");
    const commandsBefore = world.stats.commands;
    loseAtStep(world, step, lose);
    const [primary] = postgres.servers;
    if (primary !== undefined) primary.isUp = false;
    const beganMs = world.nowMs;
    const isOver = (): boolean => leadersLost > 0 && isReplaced(world);
    const hasEnded = world.runUntil(beganMs + END_MS, isOver);
    commandsBegun = world.stats.commands - commandsBefore;
    if (leadersLost === 0) return tell(`no failover came to the step "${step}"`);
    if (!hasEnded) return tell(`no primary ${END_MS / 1000} s after the loss of the old one`);
    tookMs = world.nowMs - beganMs;
    // Whoever was away comes back, and must change nothing of it.
    world.runUntil(world.nowMs + AWAY_MS_MAX + CALM_MS);
    const promoted = postgres.servers.filter(
      ({ timeline, isPrimary }) => isPrimary && timeline > 1,
    );
    const timeline = Math.max(...postgres.servers.map((server) => server.timeline));
    if (promoted.length !== 1) return tell(`${promoted.length} servers were promoted`);
    if (timeline !== 2) return tell(`${timeline - 1} promotions for one failover`);
    return tell(isReplaced(world) ? null : "nodes disagree on the primary in the end");
  } catch (error) {
    if (error instanceof BrokenPromise) return tell(`${error.promise}: ${error.message}`);
    if (error instanceof AssertionFailure) return tell(`no bug shows itself: ${error.message}`);
    throw error;
  }
}

/** Every node that runs knows the promoted server as the primary, and nothing is under way. */
function isReplaced({ hosts, postgres }: World): boolean {
  const running = hosts.filter(({ supervisor }) => supervisor?.process.canRun === true);
  const isMajority = running.length > hosts.length / 2;
  return (
    isMajority &&
    running.every((host) => {
      const primaryId = primaryKnownBy(host);
      return (
        primaryId !== null && primaryId !== 0 && postgres.server(primaryId)?.isPrimary === true
      );
    })
  );
}

function primaryKnownBy({ supervisor }: Host): number | null {
  const cluster = supervisor?.cluster ?? null;
  return cluster === null || cluster.intent !== null ? null : cluster.primaryId;
}
