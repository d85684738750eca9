/** Sums over many runs. */
import type { Ms } from "../../src/base/index.ts";
import type { Breach, RunResult } from "./run-seed.ts";

export interface Failure extends Breach {
  readonly seed: number;
  readonly nodeCount: number;
}

export interface Tally {
  seeds: number;
  events: number;
  coreSteps: number;
  elections: number;
  takeOvers: number;
  commands: number;
  writes: number;
  simulatedMs: Ms;
  struck: Record<string, number>;
  failures: Failure[];
}

export function newTally(): Tally {
  return {
    seeds: 0,
    events: 0,
    coreSteps: 0,
    elections: 0,
    takeOvers: 0,
    commands: 0,
    writes: 0,
    simulatedMs: 0,
    struck: {},
    failures: [],
  };
}

export function addRun(tally: Tally, run: RunResult): void {
  const { stats, breach, seed, nodeCount } = run;
  tally.seeds += 1;
  tally.events += stats.events;
  tally.coreSteps += stats.coreSteps;
  tally.elections += stats.elections;
  tally.takeOvers += stats.takeOvers;
  tally.commands += stats.commands;
  tally.writes += stats.writes;
  tally.simulatedMs += run.simulatedMs;
  addCounts(tally.struck, run.struck);
  if (breach !== null) tally.failures.push({ ...breach, seed, nodeCount });
}

export function addTally(sum: Tally, part: Tally): void {
  sum.seeds += part.seeds;
  sum.events += part.events;
  sum.coreSteps += part.coreSteps;
  sum.elections += part.elections;
  sum.takeOvers += part.takeOvers;
  sum.commands += part.commands;
  sum.writes += part.writes;
  sum.simulatedMs += part.simulatedMs;
  addCounts(sum.struck, part.struck);
  sum.failures.push(...part.failures);
}

function addCounts(sum: Record<string, number>, part: Readonly<Record<string, number>>): void {
  for (const [kind, count] of Object.entries(part)) sum[kind] = (sum[kind] ?? 0) + count;
}
