/** What the rounds measured, and what is told of it. Pure. */
import { formatTable } from "../../../scripts/lab.d/table.ts";
import { FAULT_NAMES, type FaultName } from "./faults.ts";
import type { Overlap } from "./holders.ts";

/** Times in milliseconds; null: it did not happen. */
export interface RoundFigures {
  readonly round: number;
  readonly fault: FaultName;
  /** Percent lost, clock offset and such; "" when there was nothing to choose. */
  readonly detail: string;
  readonly victim: string;
  /** Who held the address when the round was over. */
  readonly holder: string | null;
  /** From the fault to the first frame of another holder. */
  readonly takenMs: number | null;
  /** Between the last frame of the old holder and the first of the new one. */
  readonly gapMs: number | null;
  /** The shortest of all moves in this round. */
  readonly smallestGapMs: number | null;
  /** From the fault to the end of the first query that the new holder answered. */
  readonly queryMs: number | null;
  /** The longest time in which no answer of the address reached the client, while it lasted. */
  readonly darkMs: number;
  /** The same after it was healed, thawed or started again. */
  readonly darkAfterMs: number;
  /** From the undoing of the fault until all nodes agreed again. */
  readonly wholeMs: number | null;
  /** How many terms passed after the new holder was there: returning nodes must cause none. */
  readonly extraTerms: number;
  readonly overlaps: readonly Overlap[];
  /** Why the round does not count as passed; null when all was well. */
  readonly complaint: string | null;
}

export interface Outcome {
  readonly ok: boolean;
  readonly seed: number;
  readonly hostsCount: number;
  readonly profile: string;
  readonly fence: string;
  readonly seconds: number;
  /** The overlap that was provoked without a fence, in milliseconds; null: not provoked. */
  readonly observerProofMs: number | null;
  readonly framesCount: number;
  /** Frames that the observer's kernel had to drop. */
  readonly missedFrames: number;
  readonly rounds: readonly RoundFigures[];
}

export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** By nearest rank: each figure is one that was measured. Null for none. */
export function spreadOf(values: readonly (number | null)[]): Spread | null {
  const sorted = values.filter((value) => value !== null).sort((left, right) => left - right);
  const rank = (share: number): number =>
    sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  if (sorted.length === 0) return null;
  return { count: sorted.length, p50: rank(0.5), p90: rank(0.9), p99: rank(0.99), max: rank(1) };
}

export function smallestGapMs(rounds: readonly RoundFigures[]): number | null {
  const gaps = rounds.flatMap((round) => round.smallestGapMs ?? []);
  return gaps.length === 0 ? null : Math.min(...gaps);
}

export function overlapsCount(rounds: readonly RoundFigures[]): number {
  return rounds.reduce((sum, round) => sum + round.overlaps.length, 0);
}

const COLUMNS = [
  ["taken", (round: RoundFigures) => round.takenMs],
  ["gap", (round: RoundFigures) => round.gapMs],
  ["query", (round: RoundFigures) => round.queryMs],
  ["dark", (round: RoundFigures) => round.darkMs],
  ["dark after", (round: RoundFigures) => round.darkAfterMs],
] as const;

export function formatOutcome(outcome: Outcome): string {
  const { rounds } = outcome;
  const names = FAULT_NAMES.filter((name) => rounds.some((round) => round.fault === name));
  const rows = names.map((name) => rowOf(name, rounds));
  const head = ["fault", "rounds", "overlaps", ...COLUMNS.map(([title]) => title)];
  return [
    `Milliseconds, p50 / p90 / p99 / max. taken: from the fault to the new holder; gap: nobody held;
query: to the first query that the new holder answered; dark: no answer reached the client, while
the fault lasted and after it was undone.`,
    formatTable(head, rows),
    ...factsOf(outcome),
    ...rounds.filter((round) => round.complaint !== null).map((round) => complaintOf(round)),
  ].join("\n\n");
}

function rowOf(name: FaultName, rounds: readonly RoundFigures[]): string[] {
  const own = rounds.filter((round) => round.fault === name);
  const spreads = COLUMNS.map(([, figure]) => formatSpread(spreadOf(own.map(figure))));
  return [name, String(own.length), String(overlapsCount(own)), ...spreads];
}

function formatSpread(spread: Spread | null): string {
  if (spread === null) return "-";
  return [spread.p50, spread.p90, spread.p99, spread.max].map((each) => inMs(each)).join(" / ");
}

/** Three digits say enough of a time. */
export function inMs(value: number): string {
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}

function factsOf(outcome: Outcome): string[] {
  const { rounds, observerProofMs } = outcome;
  const gap = smallestGapMs(rounds);
  const extra = rounds.reduce((sum, round) => sum + round.extraTerms, 0);
  const proof =
    observerProofMs === null
      ? "not proven in this run"
      : `without a fence it saw two holders of a frozen leader's address for ${inMs(observerProofMs)} ms`;
  return [
    `${rounds.length} rounds on ${outcome.hostsCount} hosts, profile ${outcome.profile}, fence ${outcome.fence}, seed ${outcome.seed}, ${outcome.seconds.toFixed(0)} s
overlaps ${overlapsCount(rounds)}, smallest gap ${gap === null ? "-" : `${gap.toFixed(3)} ms`}, leader changes by returning nodes ${extra}
observer: ${outcome.framesCount} frames of the address, ${outcome.missedFrames} missed; ${proof}`,
  ];
}

function complaintOf(round: RoundFigures): string {
  return `round ${round.round}, ${round.fault}${round.detail === "" ? "" : ` (${round.detail})`} of ${round.victim}: ${round.complaint}`;
}
