/**
 * `npm run bench -- vip`: measures what `vip-numbers.ts` judges, on the stage of the cluster tests.
 * Progress goes to the standard error, the table to the standard output.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { LabFailure } from "../scripts/lab.d/failure.ts";
import { cutPort, healPort, WAYS } from "../scripts/lab.d/network-faults.ts";
import { askNode } from "../scripts/lab.d/pgquorum-node.ts";
import { mustNotBeInterrupted, tryRun } from "../scripts/lab.d/shell.ts";
import { planRounds } from "../test/cluster/vip/faults.ts";
import { mustBeWhole, onProvenStage, playRounds } from "../test/cluster/vip/run-rounds.ts";
import { isProbe, runQueryProbe } from "../test/cluster/vip/query-probe.ts";
import { LEASE_MS, type Stage, type Standing } from "../test/cluster/vip/stage.ts";
import { parseStat } from "./process-cost.ts";
import { markdownTable } from "./report.ts";
import { HELP, parseVipBenchOptions, type VipBenchOptions } from "./vip-options.ts";
import { MEASURED_FAULTS, numbersOf, readSimulator, type Measured } from "./vip-numbers.ts";

const SEED = 1;
const SIMULATOR_MS = 30 * 60_000;
const TICKS_PER_SECOND = 100; // Of every Linux that Node runs on: sysconf(_SC_CLK_TCK).
const SLICE_MS = 1_000;

const startedMs = performance.now();

function say(line: string): void {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(6);
  process.stderr.write(`[${seconds} s] ${line}\n`);
}

async function main(words: readonly string[]): Promise<number> {
  if (isProbe(words)) {
    await runQueryProbe();
    return 0;
  }
  const parsed = parseVipBenchOptions(words);
  if (!parsed.ok) throw new LabFailure(parsed.error, null, 2);
  if (parsed.value === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  const options = parsed.value;
  const measured = await measure(options);
  const rows = numbersOf(measured);
  const ok = rows.every((row) => row.isMet !== false);
  const { profile, hostsCount, fence } = options;
  const cells = rows.map(({ what, target, measured: figure, isMet }) => [
    what,
    target,
    figure,
    isMet === null ? "-" : isMet ? "met" : "MISSED",
  ]);
  const title = `Profile ${profile}, ${hostsCount} hosts, fence ${fence}.`;
  const table = markdownTable(["case", "target", "measured", "verdict"], cells);
  const json = JSON.stringify({ ok, options, numbers: rows, ...measured }, null, 2);
  process.stdout.write(options.isJson ? `${json}\n` : `${title}\n\n${table}\n`);
  return ok ? 0 : 1;
}

async function measure(options: VipBenchOptions): Promise<Measured> {
  const planned = planRounds(SEED, options.rounds * MEASURED_FAULTS.length, MEASURED_FAULTS);
  const played = await onProvenStage(options, say, async (stage, standing) => {
    const idle = await measureIdle(stage, options.idleSeconds);
    const rounds = await playRounds(stage, planned, standing);
    const partition = await partitionFollower(stage, options.partitionMinutes);
    const busy = await keepBusy(stage, options.busyMinutes);
    return { idle, rounds, partition, busy };
  });
  const simulator = options.seeds === 0 ? null : await simulate(options.seeds);
  return { profile: options.profile, leaseMs: LEASE_MS[options.profile], ...played, simulator };
}

async function measureIdle(stage: Stage, seconds: number): Promise<Measured["idle"]> {
  say(`the cluster idles for ${seconds} s`);
  const answers = await Promise.all(stage.hosts.map((host) => askNode(host)));
  const pids = answers.flatMap((answer) => answer?.pids.watchdog ?? []);
  const before = pids.map((pid) => ticksOf(pid));
  await sleep(seconds * 1000);
  const used = pids.map((pid, index) => ticksOf(pid) - (before[index] ?? 0));
  return {
    seconds,
    cpuPercent: (Math.max(...used) / TICKS_PER_SECOND / seconds) * 100,
    rssMib: Math.max(...pids.map((pid) => rssMibOf(pid))),
  };
}

function ticksOf(pid: number): number {
  return parseStat(readFileSync(`/proc/${pid}/stat`, "latin1"))?.ownTicks ?? Number.NaN;
}

function rssMibOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

async function partitionFollower(stage: Stage, minutes: number): Promise<Measured["partition"]> {
  const standing = await mustBeWhole(stage);
  const follower = stage.hosts.find((host) => host.id !== standing.leader.id);
  if (follower === undefined) return { minutes, leaderChanges: 0 };
  say(`${follower.name} is cut off for ${minutes} min`);
  await cutPort(follower.name, { ways: WAYS, from: "everybody" });
  await pass(stage, minutes);
  await healPort(follower.name);
  return { minutes, leaderChanges: await changesSince(stage, standing) };
}

/** Loops that do nothing but count, one for each processor. */
async function keepBusy(stage: Stage, minutes: number): Promise<Measured["busy"]> {
  const standing = await mustBeWhole(stage);
  const count = availableParallelism();
  say(`${count} processors are kept busy for ${minutes} min`);
  const loops = Array.from({ length: count }, () =>
    spawn("sh", ["-c", "while :; do :; done"], { stdio: "ignore" }),
  );
  try {
    await pass(stage, minutes);
    return { minutes, leaderChanges: await changesSince(stage, standing) };
  } finally {
    for (const loop of loops) loop.kill("SIGKILL");
  }
}

/** In slices, so that Ctrl-C is not heard only at the end, and what was seen need not be kept. */
async function pass(stage: Stage, minutes: number): Promise<void> {
  const endMs = performance.now() + minutes * 60_000;
  for (let leftMs = endMs - performance.now(); leftMs > 0; leftMs = endMs - performance.now()) {
    await sleep(Math.min(leftMs, SLICE_MS));
    mustNotBeInterrupted();
    stage.observer.forget();
  }
}

/** A term may begin without a leader; each of them disturbed. */
async function changesSince(stage: Stage, standing: Standing): Promise<number> {
  const now = await mustBeWhole(stage);
  return now.term - standing.term;
}

async function simulate(seeds: number): Promise<Measured["simulator"]> {
  say(`simulating ${seeds} seeds`);
  const words = [process.execPath, "test/sim/run.mjs", "--seeds", String(seeds)];
  const ran = await tryRun(words, { timeoutMs: SIMULATOR_MS });
  if (ran.code === 0) return readSimulator(ran.stdout);
  say(`the simulator ended with ${ran.code}: ${ran.stderr.trim().slice(-500)}`);
  return null;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof LabFailure)) throw error;
  process.stderr.write(`bench vip: ${error.message}\n`);
  if (error.hint !== null) process.stderr.write(`${error.hint}\n`);
  process.exitCode = error.exitCode;
}
