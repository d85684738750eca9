/**
 * The story: three hosts under load, the primary dies, the leader dies, and every promise is
 * measured from outside: by the clients, by the kernels and by the servers themselves.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicNowMs } from "../../../src/os/index.ts";
import { LabFailure } from "../failure.ts";
import { ACCOUNTS, files, hostsOf, VIP, type Host, type LabPlan } from "../layout.ts";
import type { Say } from "../lifecycle.ts";
import { vipHolders, vipHoldersNow } from "../network.ts";
import { partProcesses, signalNode } from "../pgquorum-node.ts";
import { signalServer, sql, sqlInDatabase } from "../postgres.ts";
import { leadersNow, presentLeader, primaryOf, watchLeaders } from "../roles.ts";
import { waitFor } from "../shell.ts";
import type { LoadLink } from "./load-link.ts";
import {
  LEDGER_TABLE,
  longestGap,
  lostRows,
  READS_ROWS,
  READS_TABLE,
  type LoadOptions,
} from "./load-messages.ts";
import { parseHistory, type DemoFigures } from "./report.ts";

export const WRITERS = 4;
export const READERS = 3;
const CALM_MS = 3_000;
const READS_MS = 10_000;
const WRITE_AGAIN_MS = 40_000;
const FOLLOW_MS = 40_000;
const VIP_MS = 20_000;
/** How long after the move two holders would still be noticed. */
const WATCH_MS = 1_500;
const LOOK_EVERY_MS = 5;

export function loadOptions(plan: LabPlan): LoadOptions {
  const hosts = hostsOf(plan);
  const isLoopback = plan.mode === "loopback";
  const endpoints = isLoopback
    ? hosts.map((host) => ({ host: host.address, port: host.ports.pgpool }))
    : hosts.slice(0, 1).map((host) => ({ host: VIP, port: host.ports.pgpool }));
  const { user, password, database } = ACCOUNTS.application;
  return { endpoints, user, password, database, writersCount: WRITERS, readersCount: READERS };
}

/** Tables on the primary, and a synchronous standby that has them. */
export async function prepare(plan: LabPlan): Promise<void> {
  const primary = await makeTables(plan);
  // The next in line for promotion is the one that every commit waits for.
  const next = hostsOf(plan).find((host) => host.id !== primary.id);
  await waitForSynchronousStandby(plan, primary, (name) => name === next?.name);
}

/** Empty ones on the primary, which is returned. */
export async function makeTables(plan: LabPlan): Promise<Host> {
  const primary = await primaryOf(plan);
  await sqlInDatabase(plan, primary, ACCOUNTS.application.database, [
    `SET ROLE ${ACCOUNTS.application.user}`,
    `SET client_min_messages = warning`,
    `DROP TABLE IF EXISTS ${LEDGER_TABLE}, ${READS_TABLE}`,
    `CREATE TABLE ${LEDGER_TABLE} (writer int, number int, PRIMARY KEY (writer, number))`,
    `CREATE TABLE ${READS_TABLE} (id int PRIMARY KEY, value int NOT NULL)`,
    `INSERT INTO ${READS_TABLE} SELECT id, id * 7 + 3 FROM generate_series(1, ${READS_ROWS}) AS id`,
  ]);
  return primary;
}

async function waitForSynchronousStandby(
  plan: LabPlan,
  primary: Host,
  isWanted: (name: string) => boolean,
): Promise<void> {
  const ask = "SELECT application_name FROM pg_stat_replication WHERE sync_state = 'sync'";
  const found = await waitFor(async () => {
    const [name] = await sql(plan, primary, [ask]);
    return name !== undefined && isWanted(name) ? true : null;
  }, FOLLOW_MS);
  if (found === null) throw new LabFailure(`no synchronous standby follows ${primary.name}`);
}

/** Lets the load run until every backend has served reads, and says how many each served. */
export async function watchReads(plan: LabPlan): Promise<DemoFigures["readsPerBackend"]> {
  await sleep(CALM_MS);
  const counted = await waitFor(async () => {
    const counts = await countReads(plan);
    return Object.values(counts).every((count) => count > 0) ? counts : null;
  }, READS_MS);
  return counted ?? countReads(plan);
}

async function countReads(plan: LabPlan): Promise<Record<string, number>> {
  const ask = `SELECT coalesce(sum(idx_scan + seq_scan), 0) FROM pg_stat_user_tables WHERE relname = '${READS_TABLE}'`;
  const hosts = hostsOf(plan);
  const counts = await Promise.all(
    hosts.map((host) => sqlInDatabase(plan, host, ACCOUNTS.application.database, [ask])),
  );
  return Object.fromEntries(hosts.map((host, index) => [host.name, Number(counts[index]?.[0])]));
}

export async function killPrimary(
  plan: LabPlan,
  load: LoadLink,
  say: Say,
): Promise<DemoFigures["primaryFailover"]> {
  const primary = await primaryOf(plan);
  const leader = await presentLeader(plan);
  const runsBefore = historyOf(plan).length;
  const watch = watchLeaders(plan);
  say(`killing PostgreSQL on ${primary.name}, the primary; ${leader.name} leads`);
  const killedAtMs = monotonicNowMs();
  await signalServer(primary, "SIGKILL");
  // What began before the last process was gone may still have been answered by it.
  const writtenAtMs = await orNull(load.writeAfter(monotonicNowMs(), WRITE_AGAIN_MS), say);
  const leaders = await watch.stop();
  const promoted = await orNull(primaryOf(plan), say);
  if (writtenAtMs !== null) {
    say(`writes go on after ${since(killedAtMs, writtenAtMs)} ms, on ${promoted?.name ?? "?"}`);
  }
  if (promoted !== null) {
    await orNull(
      waitForSynchronousStandby(plan, promoted, () => true),
      say,
    );
    say("the other standby follows the new primary");
  }
  const runs = historyOf(plan).slice(runsBefore);
  return {
    killed: primary.name,
    promoted: promoted?.name ?? null,
    leaders: [...new Set([leader.name, ...leaders])],
    killToFirstWriteMs: since(killedAtMs, writtenAtMs),
    commandRuns: runs.length,
    commandRanOn: runs.map((run) => run.on),
  };
}

export async function killLeader(
  plan: LabPlan,
  load: LoadLink,
  say: Say,
): Promise<DemoFigures["leaderFailover"]> {
  const leader = await presentLeader(plan);
  const runsBefore = historyOf(plan).length;
  load.startProbe();
  await sleep(500);
  say(`killing every process of the node on ${leader.name}, the leader, except its guardian`);
  const killedAtMs = monotonicNowMs();
  await signalNode(partProcesses(leader, "node"), "SIGKILL");
  const writing = orNull(load.writeAfter(monotonicNowMs(), WRITE_AGAIN_MS), say);
  const move = await watchVip(plan, leader, killedAtMs);
  const writtenAtMs = await writing;
  const newLeader = await waitFor(async () => {
    const [next] = await leadersNow(hostsOf(plan));
    return next === undefined || next === leader.name ? null : next;
  }, VIP_MS);
  say(`${newLeader ?? "nobody"} leads; ${describeMove(plan, move, writtenAtMs, killedAtMs)}`);
  const probed = await load.stopProbe();
  const holders = plan.mode === "loopback" ? [] : await vipHolders(hostsOf(plan));
  return {
    killed: leader.name,
    vipHolder: holders.length > 1 ? holders : (holders[0] ?? null),
    newLeader,
    vipMovedMs: since(killedAtMs, move.movedAtMs),
    vipGapMs: plan.mode === "loopback" ? null : Math.round(longestGap(probed.answeredAtMs).gapMs),
    holdersMax: move.holdersMax,
    killToFirstWriteMs: since(killedAtMs, writtenAtMs),
    commandRuns: historyOf(plan).length - runsBefore,
  };
}

function since(beganMs: number, atMs: number | null): number | null {
  return atMs === null ? null : Math.round(atMs - beganMs);
}

interface Move {
  readonly movedAtMs: number | null;
  readonly holdersMax: number;
}

/** Looks at all kernels every few milliseconds until the VIP has moved, and a while longer. */
async function watchVip(plan: LabPlan, old: Host, killedAtMs: number): Promise<Move> {
  if (plan.mode === "loopback") return { movedAtMs: null, holdersMax: 0 };
  const hosts = hostsOf(plan);
  let movedAtMs: number | null = null;
  let holdersMax = 0;
  for (;;) {
    const holders = vipHoldersNow(hosts);
    const nowMs = monotonicNowMs();
    holdersMax = Math.max(holdersMax, holders.length);
    if (movedAtMs === null && holders.some((name) => name !== old.name)) movedAtMs = nowMs;
    const endMs = movedAtMs === null ? killedAtMs + VIP_MS : movedAtMs + WATCH_MS;
    if (nowMs >= endMs) return { movedAtMs, holdersMax };
    await sleep(LOOK_EVERY_MS);
  }
}

function describeMove(
  plan: LabPlan,
  { movedAtMs }: Move,
  writtenAtMs: number | null,
  killedAtMs: number,
): string {
  const after = (atMs: number | null): string =>
    atMs === null ? "never" : `after ${Math.round(atMs - killedAtMs)} ms`;
  const vip = plan.mode === "loopback" ? "" : `the VIP moved ${after(movedAtMs)}, `;
  return `${vip}writes went on ${after(writtenAtMs)}`;
}

/** Ends the load and compares what its clients were told with what the primary has. */
export async function countLosses(
  plan: LabPlan,
  load: LoadLink,
): Promise<Pick<DemoFigures, "writes" | "reads">> {
  const told = await load.stop();
  const primary = await primaryOf(plan);
  const ask = `SELECT writer, number FROM ${LEDGER_TABLE}`;
  const rows = await sqlInDatabase(plan, primary, ACCOUNTS.application.database, [ask]);
  const acknowledged = told.acknowledged.reduce((sum, numbers) => sum + numbers.length, 0);
  return {
    writes: {
      clients: told.acknowledged.filter((numbers) => numbers.length > 0).length,
      acknowledged,
      lost: lostRows(told.acknowledged, new Set(rows)).length,
      unacknowledged: told.unknownCount,
    },
    reads: { count: told.readsCount, wrong: told.wrongReadsCount },
  };
}

function historyOf(plan: LabPlan): ReturnType<typeof parseHistory> {
  return parseHistory(readFileSync(files.failoverHistory(plan.directory), "utf8"));
}

/** A step that fails breaks its promise, which the report names; the story goes on to its end. */
async function orNull<T>(work: Promise<T>, say: Say): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof LabFailure)) throw error;
    say(error.message);
    return null;
  }
}
