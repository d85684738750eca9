/**
 * One run: first everything may fail (safety), then a quorum is healed and has to come back in
 * time (liveness), then a node that was away returns and must not be noticed.
 */
import { votersOf } from "../../src/watchdog/core/consensus/index.ts";
import { AssertionFailure, type Ms } from "../../src/base/index.ts";
import { planFaults, repairAll, strike, type Fault, type FaultKind } from "./faults/index.ts";
import type { Host } from "./model/host.ts";
import type { Planted } from "./planted.ts";
import { BrokenPromise } from "./promises/index.ts";
import { Random } from "./random.ts";
import { World, type Stats } from "./world.ts";

export interface RunOptions {
  readonly seed: number;
  /** Null: the seed chooses. */
  readonly nodeCount: number | null;
  /** Of the part in which everything may fail. */
  readonly safetyMs: Ms;
  /** Numbers of the faults that are kept; null: all. */
  readonly kept: ReadonlySet<number> | null;
  readonly planted: Planted;
  readonly trace: ((line: string) => void) | null;
}

export interface Breach {
  readonly promise: string;
  readonly detail: string;
  readonly atMs: Ms;
}

export interface RunResult {
  readonly seed: number;
  readonly nodeCount: number;
  readonly breach: Breach | null;
  readonly simulatedMs: Ms;
  readonly stats: Stats;
  readonly struck: Readonly<Partial<Record<FaultKind, number>>>;
  readonly faults: readonly Fault[];
}

const NODE_COUNTS = [3, 3, 3, 3, 3, 4, 5, 5, 5, 7];

export function runSeed(options: RunOptions): RunResult {
  const { seed, safetyMs, kept, planted, trace } = options;
  const nodeCount = options.nodeCount ?? new Random(seed ^ 0x2545f491).pick(NODE_COUNTS);
  const world = new World({ seed, nodeCount, planted, trace });
  const faults = planFaults(seed, nodeCount, safetyMs).filter(
    ({ number }) => kept === null || kept.has(number),
  );
  const struck: Partial<Record<FaultKind, number>> = {};
  for (const fault of faults) {
    world.after(fault.atMs, () => {
      struck[fault.kind] = (struck[fault.kind] ?? 0) + 1;
      strike(world, fault);
    });
  }
  const breach = breachOf(world, () => {
    world.runUntil(safetyMs);
    comeBack(world);
    returnUnnoticed(world);
    serveClients(world);
  });
  if (breach !== null) trace?.(`broken: ${breach.promise}: ${breach.detail}`);
  const { stats, nowMs } = world;
  return { seed, nodeCount, breach, simulatedMs: nowMs, stats, struck, faults };
}

function breachOf(world: World, run: () => void): Breach | null {
  try {
    run();
    return null;
  } catch (error) {
    if (error instanceof BrokenPromise) {
      return { promise: error.promise, detail: error.message, atMs: error.atMs };
    }
    if (error instanceof AssertionFailure) {
      return { promise: "no bug shows itself", detail: error.message, atMs: world.nowMs };
    }
    throw error;
  }
}

/** Heals a majority, or all: within 5 P it has a leader, and its VIP is open. */
function comeBack(world: World): void {
  const { hosts, random, nodeCount, profile } = world;
  const fit = hosts.filter(({ hasWholeDisk }) => hasWholeDisk);
  const majority = Math.floor(nodeCount / 2) + 1;
  // Who may be left out depends on who votes; where that changes, all are healed.
  const mayLeaveOut = profile.removesAfterMs === null && random.chance(0.3);
  const leftOut = mayLeaveOut ? fit.slice(majority) : [];
  const healed = fit.filter((host) => !leftOut.includes(host));
  world.trace?.(`nodes ${healed.map(({ id }) => id).join(", ")} are healed`);
  world.absenceMsMax = RESTARTED_WITHIN_MS;
  repairAll(world, healed);
  for (const host of hosts.filter((one) => !healed.includes(one))) isolate(world, host);
  const boundMs = 5 * profile.promiseMs + profile.fence.closeBoundMs;
  const isBack = world.runUntil(world.nowMs + boundMs, () => isServing(world, healed));
  if (!isBack) {
    world.broken(
      "back within 5 P",
      `no leader with an open VIP ${boundMs} ms after nodes ` +
        `${healed.map(({ id }) => id).join(", ")} were healed`,
    );
  }
  world.runUntil(world.nowMs + 2 * profile.promiseMs);
  repairAll(world, fit);
  world.runUntil(world.nowMs + 5 * profile.promiseMs + profile.fence.closeBoundMs);
}

/** What was told to stop while it could not run stops now, and is back soon. */
const RESTARTED_WITHIN_MS = 50;

/** Cut off, stopped or restarted while the others go on: its return changes no leader. */
function returnUnnoticed(world: World): void {
  const { random, profile, nodeCount } = world;
  const { promiseMs } = profile;
  const present = world.hosts.filter(({ hasWholeDisk }) => hasWholeDisk);
  const leader = present.find(({ watchdog }) => watchdog?.leads === true);
  if (leader === undefined)
    return world.broken("back within 5 P", "no leader after all was healed");
  const away = present.find((host) => host !== leader);
  // Who has lost its vote does not come back at once, and so the others may be too few.
  const state = leader.watchdog?.state ?? null;
  const areAllVoters = state !== null && votersOf(state).length === nodeCount;
  if (away === undefined || present.length - 1 <= nodeCount / 2 || !areAllVoters) return;
  const term = leader.watchdog?.state?.durable.term;
  const awayMs = random.between(1, 10) * promiseMs;
  world.absenceMsMax = Infinity;
  world.trace?.(`node ${away.id} is away for ${awayMs.toFixed(0)} ms`);
  const how = random.below(3);
  if (how === 0) away.killWatchdog(awayMs, true);
  else if (how === 1) away.pauseAll(awayMs);
  else isolate(world, away);
  world.runUntil(world.nowMs + awayMs);
  world.network.heal();
  world.runUntil(world.nowMs + 4 * promiseMs);
  if (leader.watchdog?.leads === true && leader.watchdog.state?.durable.term === term) return;
  world.broken(
    "a node that returns disturbs nobody",
    `node ${leader.id} led term ${term} until node ${away.id} came back after ${awayMs.toFixed(0)} ms`,
  );
}

/** Their neighbours' caches lead to the holder, announced or asked for anew. */
function serveClients(world: World): void {
  if (world.runUntil(world.nowMs + NEIGHBOUR_MS, () => world.clients.isServed)) return;
  world.broken("clients find the VIP", `their frames go to node ${world.clients.ownerId}`);
}

/** An entry that leads nowhere is given up after so long, whatever anybody announces. */
const NEIGHBOUR_MS = 8000;

function isServing(world: World, hosts: readonly Host[]): boolean {
  return hosts.some(
    (host) => host.watchdog?.leads === true && host.kernel.openUntilMs > world.nowMs,
  );
}

function isolate(world: World, host: Host): void {
  for (const { id } of world.hosts) {
    if (id === host.id) continue;
    world.network.cut(id, host.id);
    world.network.cut(host.id, id);
  }
}
