/** What the cases measured and promised, and what is told of it. Pure. */
import { formatTable } from "../../../scripts/lab.d/table.ts";
import { inMs, spreadOf } from "../vip/figures.ts";

/** Bounds in milliseconds, as the project states them for quiet machines. */
export interface Target {
  readonly p50?: number;
  readonly p99?: number;
  readonly max?: number;
}

export interface Measure {
  readonly name: string;
  readonly target: Target;
  readonly values: readonly number[];
}

export interface Kept {
  readonly promise: string;
  readonly ok: boolean;
  readonly found: string;
}

export interface CaseOutcome {
  readonly name: string;
  readonly rounds: number;
  /** Why it was not played; null: it was. */
  readonly skipped: string | null;
  readonly measures: readonly Measure[];
  readonly promises: readonly Kept[];
  /** Each with where to look. */
  readonly complaints: readonly string[];
  /** What was seen beside it. */
  readonly remarks: readonly string[];
}

export interface Outcome {
  /** Every promise held. Speeds are told, and fail nothing. */
  readonly ok: boolean;
  readonly seed: number;
  readonly profile: string;
  readonly seconds: number;
  readonly cases: readonly CaseOutcome[];
}

export function isSpeedMet({ target, values }: Measure): boolean | null {
  const spread = spreadOf(values);
  if (spread === null || Object.keys(target).length === 0) return null;
  const { p50 = Infinity, p99 = Infinity, max = Infinity } = target;
  return spread.p50 <= p50 && spread.p99 <= p99 && spread.max <= max;
}

export function formatOutcome(outcome: Outcome): string {
  const speeds = outcome.cases.flatMap((one) =>
    one.measures.map((measure) => [
      one.name,
      String(measure.values.length),
      measure.name,
      targetInWords(measure.target),
      spreadInWords(measure.values),
      verdict(isSpeedMet(measure)),
    ]),
  );
  const promises = outcome.cases.flatMap((one) =>
    one.promises.map(({ promise, ok, found }) => [
      one.name,
      String(one.rounds),
      promise,
      found,
      ok ? "held" : "BROKEN",
    ]),
  );
  const skipped = outcome.cases.flatMap(({ name, skipped: why }) =>
    why === null ? [] : `not played: ${name}: ${why}`,
  );
  const heldCount = outcome.cases.flatMap((one) => one.promises).filter(({ ok }) => ok).length;
  return [
    "Milliseconds, p50 / p99 / max.",
    formatTable(["case", "times", "measured", "target", "found", ""], speeds),
    formatTable(["case", "rounds", "promise", "found", ""], promises),
    ...outcome.cases.flatMap(({ remarks }) => remarks),
    ...outcome.cases.flatMap(({ complaints }) => complaints),
    [
      ...skipped,
      `${heldCount} of ${promises.length} promises held, ${skipped.length} cases not played; profile ${outcome.profile}, seed ${outcome.seed}, ${outcome.seconds.toFixed(0)} s`,
    ].join("\n"),
  ].join("\n\n");
}

function targetInWords({ p50, p99, max }: Target): string {
  const parts = [
    ...(p50 === undefined ? [] : [`p50 <= ${p50}`]),
    ...(p99 === undefined ? [] : [`p99 <= ${p99}`]),
    ...(max === undefined ? [] : [`max <= ${max}`]),
  ];
  return parts.join(", ") || "-";
}

function spreadInWords(values: readonly number[]): string {
  const spread = spreadOf(values);
  if (spread === null) return "-";
  return [spread.p50, spread.p99, spread.max].map((value) => inMs(value)).join(" / ");
}

function verdict(isMet: boolean | null): string {
  return isMet === null ? "" : isMet ? "met" : "missed";
}

/** Gathers what the rounds of one case found. Mutable. */
export class CaseRecord {
  readonly name: string;
  rounds = 0;
  readonly #measures = new Map<string, { target: Target; values: number[] }>();
  readonly #counts = new Map<string, { max: number; found: number; min: number }>();
  readonly #complaints: string[] = [];
  readonly #remarks: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  measure(name: string, target: Target, value: number | null): void {
    const measure = this.#measures.get(name) ?? { target, values: [] };
    this.#measures.set(name, measure);
    if (value !== null) measure.values.push(value);
  }

  /** Adds to what must be none in the end. @returns whether there was any. */
  mustBeNone(promise: string, count: number): boolean {
    return this.#count(promise, count, 0, 0);
  }

  /** Adds to what must have been seen at least once in the end, else the case proves nothing. */
  mustBeSome(promise: string, count: number): boolean {
    return this.#count(promise, count, 1, Infinity);
  }

  #count(promise: string, count: number, min: number, max: number): boolean {
    const before = this.#counts.get(promise) ?? { min, max, found: 0 };
    this.#counts.set(promise, { ...before, found: before.found + count });
    return count > 0;
  }

  complain(text: string): void {
    this.#complaints.push(`${this.name}, ${text}`);
    this.mustBeNone("complaints", 1);
  }

  remark(text: string): void {
    this.#remarks.push(`${this.name}: ${text}`);
  }

  get complaintsCount(): number {
    return this.#complaints.length;
  }

  finish(): CaseOutcome {
    const promises = [...this.#counts].map(([promise, { min, max, found }]) => ({
      promise,
      ok: found >= min && found <= max,
      found: String(found),
    }));
    return {
      name: this.name,
      rounds: this.rounds,
      skipped: null,
      measures: [...this.#measures].map(([name, measure]) => ({ name, ...measure })),
      promises,
      complaints: this.#complaints,
      remarks: this.#remarks,
    };
  }
}

export function notPlayed(name: string, why: string): CaseOutcome {
  const nothing = { measures: [], promises: [], complaints: [], remarks: [] };
  return { name, rounds: 0, skipped: why, ...nothing };
}
