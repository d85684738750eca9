/** One round: a fault, its effect as seen from outside, its end, and the way back to whole. */
import { setTimeout as sleep } from "node:timers/promises";
import { LabFailure } from "../../../scripts/lab.d/failure.ts";
import type { Host } from "../../../scripts/lab.d/layout.ts";
import { askNode } from "../../../scripts/lab.d/pgquorum-node.ts";
import { isInterrupted } from "../../../scripts/lab.d/shell.ts";
import { monotonicNowMs } from "../../../src/os/index.ts";
import type { PlannedRound } from "./faults.ts";
import type { RoundFigures } from "./figures.ts";
import { changesOf, longestDarkness, overlapsOf, type Run } from "./holders.ts";
import { LEASE_MS, whole, type Stage, type Standing } from "./stage.ts";
import { strike, type Strike } from "./strike.ts";

const QUERY_EVERY_MS = 10;
const QUERY_WITHIN_MS = 5_000;
/** Beyond the lease: what the slowest fence and a busy machine may need. */
const MOVE_WITHIN_MS = 8_000;
const WHOLE_WITHIN_MS = 20_000;
/** A new holder and an old one that come together do so at once; it is waited for a little. */
const AFTER_MOVE_MS = 100;
const AFTER_WHOLE_MS = 150;

/** The cluster must be whole, as `standing` says. */
export async function playRound(
  stage: Stage,
  planned: PlannedRound,
  standing: Standing,
): Promise<{ figures: Omit<RoundFigures, "round">; standing: Standing | null }> {
  const { observer, probe } = stage;
  const victim = victimOf(stage, planned, standing);
  observer.forget();
  probe.every(QUERY_EVERY_MS);
  const struck = await strike(stage, planned, victim);
  const seen = await watchEffect(stage, planned, { victim, struck, standing });
  probe.every(null);
  const undoneMs = monotonicNowMs();
  const unfinished = await undone(struck);
  const after = unfinished === null ? await whole(stage, WHOLE_WITHIN_MS) : null;
  const wholeMs = monotonicNowMs() - undoneMs;
  await sleep(AFTER_WHOLE_MS);

  const runs = observer.holders.runs;
  const overlaps = overlapsOf(runs);
  const gaps = changesOf(runs).map((change) => change.gapMs);
  const isCounted = planned.fault.expects !== "either" && seen.term !== null && after !== null;
  const extraTerms = isCounted ? after.term - (seen.term ?? 0) : 0;
  const figures = {
    fault: planned.fault.name,
    detail: struck.detail,
    victim: victim.name,
    holder: after?.leader.name ?? null,
    takenMs: seen.taken === null ? null : seen.taken.firstMs - struck.atMs,
    gapMs: seen.taken === null ? null : seen.gapMs,
    smallestGapMs: gaps.length === 0 ? null : Math.min(...gaps),
    queryMs: seen.answeredMs === null ? null : seen.answeredMs - struck.atMs,
    darkMs: longestDarkness(observer.reachedMs, struck.atMs, undoneMs),
    darkAfterMs: longestDarkness(observer.reachedMs, undoneMs, monotonicNowMs()),
    wholeMs: after === null ? null : wholeMs,
    extraTerms,
    overlaps,
  };
  const complaint =
    seen.complaint ??
    (overlaps.length > 0 ? overlapInWords(overlaps[0], struck.atMs) : null) ??
    unfinished ??
    (after === null ? `not whole again within ${WHOLE_WITHIN_MS / 1000} s` : null) ??
    (extraTerms === 0 ? null : `the leader changed ${extraTerms} times after it was undone`);
  return { figures: { ...figures, complaint }, standing: after };
}

/** Null, or what keeps the cluster from coming back: the round has failed, the run goes on. */
async function undone(struck: Strike): Promise<string | null> {
  try {
    await struck.undo();
    return null;
  } catch (error) {
    if (error instanceof LabFailure && !isInterrupted()) return error.message;
    throw error;
  }
}

function overlapInWords(
  overlap: ReturnType<typeof overlapsOf>[number] | undefined,
  atMs: number,
): string | null {
  if (overlap === undefined) return null;
  const { holder, others, what, fromMs, toMs } = overlap;
  const span = `from ${(fromMs - atMs).toFixed(1)} to ${(toMs - atMs).toFixed(1)} ms after the fault`;
  return `${holder} and ${others.join(" and ")} both spoke as the address ${span}, first by ${what}`;
}

function victimOf(stage: Stage, { fault, dice }: PlannedRound, { leader }: Standing): Host {
  if (fault.on === "leader") return leader;
  const followers = stage.hosts.filter((host) => host.id !== leader.id);
  return followers[Math.floor(dice * followers.length)] ?? leader;
}

interface Seen {
  /** The first run of another host than the victim after a fault of the leader. */
  readonly taken: Run | null;
  readonly gapMs: number;
  readonly answeredMs: number | null;
  /** Of the leader that was there before the fault was undone. */
  readonly term: number | null;
  readonly complaint: string | null;
}

async function watchEffect(
  stage: Stage,
  { fault }: PlannedRound,
  round: { readonly victim: Host; readonly struck: Strike; readonly standing: Standing },
): Promise<Seen> {
  const { observer } = stage;
  const { victim, struck, standing } = round;
  const leaseMs = LEASE_MS[stage.plan.profile];
  const from = (): number =>
    observer.holders.runs.findIndex(
      (run) => run.port !== standing.leader.name && run.firstMs > struck.atMs,
    );
  const isMoved = (): boolean => from() >= 0;
  if (fault.expects === "move") {
    await observer.until(isMoved, leaseMs + MOVE_WITHIN_MS);
  } else {
    // As long as a successor would need, if one came.
    await observer.until(isMoved, 2 * leaseMs + 300);
  }
  const at = from();
  const taken = observer.holders.runs[at] ?? null;
  const before = observer.holders.runs[at - 1];
  const missing = `no other host held the address within ${(leaseMs + MOVE_WITHIN_MS) / 1000} s`;
  if (taken === null) {
    const complaint = fault.expects === "move" ? missing : null;
    return { taken, gapMs: 0, answeredMs: null, term: standing.term, complaint };
  }
  const answeredMs = await firstAnswer(stage, taken.firstMs);
  await sleep(AFTER_MOVE_MS);
  const holder = stage.hosts.find((host) => host.name === taken.port);
  const view = holder === undefined ? null : (await askNode(holder))?.watchdog;
  const complaint =
    fault.expects === "stay"
      ? `the address moved from ${standing.leader.name} to ${taken.port}, though only ${victim.name} suffered`
      : answeredMs === null
        ? `${taken.port} held the address, but no query was answered within ${QUERY_WITHIN_MS / 1000} s`
        : null;
  const gapMs = before === undefined ? 0 : taken.firstMs - before.lastMs;
  return { taken, gapMs, answeredMs, term: view?.term ?? null, complaint };
}

async function firstAnswer(stage: Stage, afterMs: number): Promise<number | null> {
  const { observer, probe } = stage;
  await observer.until(() => probe.firstAnswerMs(afterMs) !== null, QUERY_WITHIN_MS);
  return probe.firstAnswerMs(afterMs);
}
