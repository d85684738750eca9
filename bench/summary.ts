/** From single runs to the figures of the tables. Pure. */
import type { Cell, ProductName } from "./plan.ts";

/** What a run can tell; the unit is part of the name. */
export type MeasuredFigure =
  | "cpuMicros" // A query, all processes of the proxy together.
  | "tps"
  | "p50Micros"
  | "p99Micros"
  | "mbPerSecond"
  | "cpuMsPerGb"
  | "peakGrowthMib"
  | "pssMib"
  | "kibPerClient"
  | "clientsServed"
  | "secondsToServeAll";
/** Beyond what PostgreSQL itself took in the same round. */
export type DerivedFigure = "p50AddedMicros" | "p99AddedMicros";
export type Figure = MeasuredFigure | DerivedFigure;

const DERIVED: Readonly<Record<DerivedFigure, MeasuredFigure>> = {
  p50AddedMicros: "p50Micros",
  p99AddedMicros: "p99Micros",
};

export type Outcome =
  | {
      readonly kind: "measured";
      readonly figures: Readonly<Partial<Record<MeasuredFigure, number>>>;
    }
  | { readonly kind: "failed"; readonly reason: string };

export interface Sample {
  readonly round: number;
  readonly cell: string;
  readonly product: ProductName;
  readonly outcome: Outcome;
}

/** Null for none; the mean of the two in the middle of an even number. */
export function median(values: readonly number[]): number | null {
  return percentile([...values].sort(ascending), 0.5);
}

/** @param sorted ascending. The mean of both neighbours when it falls exactly between two. */
export function percentile(sorted: readonly number[], share: number): number | null {
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  if (low === undefined || high === undefined) return null;
  return share === 0.5 ? (low + high) / 2 : high;
}

export function ascending(left: number, right: number): number {
  return left - right;
}

/** The samples of a report, and what is asked of them again and again. */
export class Figures {
  readonly #samples: readonly Sample[];

  constructor(samples: readonly Sample[]) {
    this.#samples = samples;
  }

  /** The median over the rounds; null where nothing was measured. */
  middle(cell: Cell, product: ProductName, figure: Figure): number | null {
    return median(this.#of(cell, product).flatMap((one) => this.#value(one, figure) ?? []));
  }

  /** To the other product in the same round: what disturbs both falls out. */
  ratio(cell: Cell, product: ProductName, figure: Figure, to: ProductName): number | null {
    // What is left of two figures that are nearly the same is no base for a ratio of one round.
    if (figure in DERIVED) {
      const [value, base] = [this.middle(cell, product, figure), this.middle(cell, to, figure)];
      return value === null || base === null || base <= 0 ? null : value / base;
    }
    return median(
      this.#of(cell, product).flatMap((one) => {
        const value = this.#value(one, figure);
        const base = this.#sameRound(one, to, figure);
        return value === null || base === null || base === 0 ? [] : value / base;
      }),
    );
  }

  /** Why the first round that failed did. */
  failure(cell: Cell, product: ProductName): string | null {
    for (const { outcome } of this.#of(cell, product)) {
      if (outcome.kind === "failed") return outcome.reason;
    }
    return null;
  }

  /** All medians of a cell by figure, or why there are none. */
  summary(cell: Cell, product: ProductName): Readonly<Record<string, number | string>> {
    const failure = this.failure(cell, product);
    const summary: Record<string, number | string> = failure === null ? {} : { failure };
    for (const { outcome } of this.#of(cell, product)) {
      if (outcome.kind === "failed") continue;
      for (const figure of Object.keys(outcome.figures) as MeasuredFigure[]) {
        summary[figure] ??= this.middle(cell, product, figure) ?? 0;
      }
    }
    return summary;
  }

  isAsked(cell: Cell, product: ProductName): boolean {
    return this.#of(cell, product).length > 0;
  }

  #of(cell: Cell, product: ProductName): readonly Sample[] {
    return this.#samples.filter((one) => one.cell === cell.name && one.product === product);
  }

  #value(sample: Sample | undefined, figure: Figure): number | null {
    if (sample?.outcome.kind !== "measured") return null;
    if (!isDerived(figure)) return sample.outcome.figures[figure] ?? null;
    const whole = sample.outcome.figures[DERIVED[figure]] ?? null;
    const direct = this.#sameRound(sample, "direct", DERIVED[figure]);
    return whole === null || direct === null ? null : whole - direct;
  }

  #sameRound(sample: Sample, product: ProductName, figure: Figure): number | null {
    const { cell, round } = sample;
    const other = this.#samples.find(
      (one) => one.product === product && one.cell === cell && one.round === round,
    );
    return this.#value(other, figure);
  }
}

function isDerived(figure: Figure): figure is DerivedFigure {
  return figure in DERIVED;
}
