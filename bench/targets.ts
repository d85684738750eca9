/** What the relay is to reach, and whether it does. Pure. */
import { CELLS, type Cell, type ProductName } from "./plan.ts";
import type { Figure, Figures } from "./summary.ts";

export interface Target {
  readonly cell: Cell;
  readonly figure: Figure;
  readonly bound: "at most" | "at least";
  readonly limit: number;
  /** The limit is so many times its figure; null: the limit is the figure itself. */
  readonly times: ProductName | null;
}

export interface Verdict {
  readonly target: Target;
  /** In the unit of the limit; null: not measured. */
  readonly measured: number | null;
  readonly isMet: boolean | null;
}

type Row = readonly [
  figure: Figure,
  bound: Target["bound"],
  limit: number,
  times: ProductName | null,
];

const LIKE_PGBOUNCER: readonly Row[] = [
  ["cpuMicros", "at most", 1.15, "pgbouncer"],
  ["tps", "at least", 0.95, "pgbouncer"],
];
const CONNECT: readonly Row[] = [["cpuMicros", "at most", 1.1, "pgbouncer"]];
const TRANSFER: readonly Row[] = [
  ["mbPerSecond", "at least", 0.9, "direct"],
  ["cpuMsPerGb", "at most", 0.9, "pgbouncer"],
  ["peakGrowthMib", "at most", 8, null],
];
const ABOVE_PGPOOL2: Row = ["tps", "at least", 1, "pgpool2"];

const ROWS: Readonly<Record<string, readonly Row[]>> = {
  "simple-32": LIKE_PGBOUNCER,
  "simple-8": LIKE_PGBOUNCER,
  "prepared-32": LIKE_PGBOUNCER,
  "prepared-8": LIKE_PGBOUNCER,
  "extended-32": [
    ["cpuMicros", "at most", 1, "pgbouncer"],
    ["tps", "at least", 1.05, "pgbouncer"],
  ],
  latency: [["p50AddedMicros", "at most", 1, "pgbouncer"]],
  connect: CONNECT,
  "connect-scram": CONNECT,
  "connect-tx": CONNECT,
  "copy-200": TRANSFER,
  "select-100": TRANSFER,
  "simple-500": [["cpuMicros", "at most", 1.5, "pgbouncer"]],
  "tx-500": [
    ["cpuMicros", "at most", 1.15, "pgbouncer"],
    ["tps", "at least", 1, "pgbouncer"],
  ],
  "split-simple": [["cpuMicros", "at most", 0.5, "pgpool2"], ABOVE_PGPOOL2],
  "split-extended": [["cpuMicros", "at most", 0.28, "pgpool2"], ABOVE_PGPOOL2],
  "split-prepared": [["cpuMicros", "at most", 0.35, "pgpool2"], ABOVE_PGPOOL2],
  "split-simple-1": [ABOVE_PGPOOL2],
  "idle-500": [
    ["pssMib", "at most", 150, null],
    ["kibPerClient", "at most", 24, null],
  ],
  "crowd-10000": [
    ["clientsServed", "at least", 10_000, null],
    ["pssMib", "at most", 500, null],
  ],
};

export const TARGETS: readonly Target[] = CELLS.flatMap((cell) =>
  (ROWS[cell.name] ?? []).map(([figure, bound, limit, times]) => ({
    cell,
    figure,
    bound,
    limit,
    times,
  })),
);

/** @param product whose figures are judged: pgquorum, or another commit of it. */
export function judge(target: Target, figures: Figures, product: ProductName): Verdict {
  const { cell, figure, bound, limit, times } = target;
  const measured =
    times === null
      ? figures.middle(cell, product, figure)
      : figures.ratio(cell, product, figure, times);
  if (measured === null) return { target, measured, isMet: null };
  return { target, measured, isMet: bound === "at most" ? measured <= limit : measured >= limit };
}
