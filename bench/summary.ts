/** From single runs to the figures of the tables. Pure. */
import { MEASURE, type ProductName } from "./plan.ts";

export interface Sample {
  readonly round: number;
  readonly cell: string;
  readonly product: ProductName;
  readonly outcome:
    | {
        readonly kind: "measured";
        readonly queries: number;
        readonly tps: number;
        readonly latencyMs: number;
        /** Of all processes of the proxy together; null where there is none. */
        readonly cpuMicrosPerQuery: number | null;
        readonly pssMib: number | null;
      }
    | { readonly kind: "failed"; readonly reason: string };
}

/** Medians over the rounds; null where nothing was measured. */
export interface Summary {
  readonly rounds: number;
  readonly tps: number | null;
  readonly latencyMs: number | null;
  readonly cpuMicrosPerQuery: number | null;
  readonly pssMib: number | null;
  /** To the measure in the same round: what disturbs both falls out. */
  readonly cpuRatio: number | null;
  readonly tpsRatio: number | null;
  /** Why the first round that failed did. */
  readonly failure: string | null;
}

/** Null for none; the mean of the two in the middle of an even number. */
export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((left, right) => left - right);
  const high = sorted[Math.floor(sorted.length / 2)];
  const low = sorted[Math.floor((sorted.length - 1) / 2)];
  return high === undefined || low === undefined ? null : (low + high) / 2;
}

export function summarize(samples: readonly Sample[], cell: string, product: ProductName): Summary {
  const own = samples.filter((one) => one.cell === cell && one.product === product);
  const measured = own.flatMap(({ outcome }) => (outcome.kind === "measured" ? [outcome] : []));
  const failed = own.flatMap(({ outcome }) => (outcome.kind === "failed" ? [outcome.reason] : []));
  const middle = (figure: Figure): number | null =>
    median(measured.flatMap((one) => one[figure] ?? []));
  return {
    rounds: measured.length,
    tps: middle("tps"),
    latencyMs: middle("latencyMs"),
    cpuMicrosPerQuery: middle("cpuMicrosPerQuery"),
    pssMib: middle("pssMib"),
    cpuRatio: median(ratios(samples, own, "cpuMicrosPerQuery")),
    tpsRatio: median(ratios(samples, own, "tps")),
    failure: failed[0] ?? null,
  };
}

type Figure = "tps" | "latencyMs" | "cpuMicrosPerQuery" | "pssMib";

function ratios(all: readonly Sample[], own: readonly Sample[], figure: Figure): number[] {
  return own.flatMap((one) => {
    const measure = all.find(
      (other) => other.product === MEASURE && other.cell === one.cell && other.round === one.round,
    );
    const [value, by] = [valueOf(one, figure), valueOf(measure, figure)];
    return value === null || by === null || by === 0 ? [] : [value / by];
  });
}

function valueOf(sample: Sample | undefined, figure: Figure): number | null {
  return sample?.outcome.kind === "measured" ? sample.outcome[figure] : null;
}
