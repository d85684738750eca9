/** The figures as text: tables in Markdown that can be read as they are. Pure. */
import { isMeasured, PRODUCTS, type Cell, type ProductName } from "./plan.ts";
import { PARTS, type SharesOfCell } from "./shares.ts";
import { Figures, type Figure, type Sample } from "./summary.ts";
import { judge, TARGETS, type Verdict } from "./targets.ts";

export interface Report {
  readonly cells: readonly Cell[];
  readonly products: readonly ProductName[];
  readonly samples: readonly Sample[];
  /** Of cells that cost more than they should; empty where nobody looked. */
  readonly shares: readonly SharesOfCell[];
  /** About machine, versions and the run, a line each. */
  readonly facts: readonly string[];
}

interface TableOfFigure {
  readonly title: string;
  readonly figure: Figure;
  readonly digits: number;
  /** "measure": the cell's own. */
  readonly times: ProductName | "measure" | null;
}

const TABLES: readonly TableOfFigure[] = [
  {
    title:
      "Processor time per query in all processes of the proxy, µs (× PgBouncer; with split reads × Pgpool-II)",
    figure: "cpuMicros",
    digits: 1,
    times: "measure",
  },
  { title: "Queries per second (× direct)", figure: "tps", digits: 0, times: "direct" },
  {
    title: "Latency at low load, median, µs beyond direct",
    figure: "p50AddedMicros",
    digits: 0,
    times: null,
  },
  {
    title: "Latency at low load, 99th percentile, µs beyond direct",
    figure: "p99AddedMicros",
    digits: 0,
    times: null,
  },
  { title: "Large answers, MB/s (× direct)", figure: "mbPerSecond", digits: 0, times: "direct" },
  {
    title: "Large answers, processor time of the proxy, ms per GB (× PgBouncer)",
    figure: "cpuMsPerGb",
    digits: 0,
    times: "measure",
  },
  {
    title: "Large answers, growth of memory at its peak, MiB",
    figure: "peakGrowthMib",
    digits: 1,
    times: null,
  },
  {
    title: "Memory, MiB (proportional set size of all processes)",
    figure: "pssMib",
    digits: 1,
    times: null,
  },
  { title: "Memory per further idle client, KiB", figure: "kibPerClient", digits: 1, times: null },
  {
    title: "Thousands of clients: connected and served once after, s",
    figure: "secondsToServeAll",
    digits: 1,
    times: null,
  },
];

export function formatReport(report: Report): string {
  const figures = new Figures(report.samples);
  const parts = [
    report.facts.map((fact) => `- ${fact}`).join("\n"),
    ...targetsPart(report, figures),
    ...sharesPart(report, figures),
    ...TABLES.flatMap((table) => tablePart(report, figures, table)),
    remarks(report, figures).join("\n"),
    legend(report),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

/** Cells where pgquorum takes more processor time than it should. */
export function costlyCells(report: Report): readonly Cell[] {
  return verdictsOf(report)
    .filter(({ target, isMet }) => isMet === false && target.figure.startsWith("cpu"))
    .map(({ target }) => target.cell);
}

/** What was asked of pgquorum in the cells that were measured. */
export function verdictsOf({ cells, samples, products }: Report): readonly Verdict[] {
  if (!products.includes("pgquorum")) return [];
  const figures = new Figures(samples);
  return TARGETS.filter(({ cell, times }) => {
    const isComparable = times === null || products.includes(times);
    return isComparable && cells.some((one) => one.name === cell.name);
  }).map((target) => judge(target, figures, "pgquorum"));
}

function targetsPart(report: Report, figures: Figures): readonly string[] {
  const verdicts = verdictsOf(report);
  if (verdicts.length === 0) return [];
  const isAgainst = report.products.includes("against");
  const rows = verdicts.map(({ target, measured, isMet }) => {
    const { cell, figure, bound, limit, times } = target;
    const sign = bound === "at most" ? "≤" : "≥";
    const wanted = times === null ? `${sign} ${limit}` : `${sign} ${limit} × ${times}`;
    const other = isAgainst ? [show(judge(target, figures, "against").measured, 2)] : [];
    const verdict = isMet === null ? "not measured" : isMet ? "met" : "MISSED";
    return [cell.name, WORDS[figure] ?? figure, wanted, show(measured, 2), ...other, verdict];
  });
  const head = ["cell", "figure", "target", "pgquorum", ...(isAgainst ? ["against"] : [])];
  const count = verdicts.filter((one) => one.isMet === true).length;
  return [
    `Targets, ${count} of ${verdicts.length} met:`,
    markdownTable([...head, "verdict"], rows),
  ];
}

function sharesPart({ cells, shares }: Report, figures: Figures): readonly string[] {
  const rows = cells.flatMap((cell) =>
    shares
      .filter((one) => one.cell === cell.name)
      .map(({ product, shares: of }) => {
        const micros = figures.middle(cell, product, "cpuMicros");
        const cost = micros ?? figures.middle(cell, product, "cpuMsPerGb") ?? 0;
        const digits = micros === null ? 0 : 1;
        const parts = PARTS.map((part) => show(cost * of[part], digits));
        return [cell.name, product, ...parts, show(cost, digits)];
      }),
  );
  if (rows.length === 0) return [];
  const title =
    "Where the processor time goes in the cells that miss a target for it, µs per query (large answers: ms per GB), by the shares of perf in the busiest process";
  return [`${title}:`, markdownTable(["cell", "product", ...PARTS, "in all"], rows)];
}

const WORDS: Readonly<Partial<Record<Figure, string>>> = {
  cpuMicros: "processor time",
  tps: "queries per second",
  p50AddedMicros: "median latency added",
  mbPerSecond: "throughput",
  cpuMsPerGb: "processor time",
  peakGrowthMib: "growth of memory, MiB",
  pssMib: "memory, MiB",
  kibPerClient: "per further client, KiB",
  clientsServed: "clients served",
};

function tablePart(report: Report, figures: Figures, table: TableOfFigure): readonly string[] {
  const { figure, digits, times } = table;
  const has = (cell: Cell, product: ProductName): boolean =>
    figures.middle(cell, product, figure) !== null;
  const cells = report.cells.filter((cell) => report.products.some((one) => has(cell, one)));
  if (cells.length === 0) return [];
  const products = report.products.filter(
    // PostgreSQL itself is no proxy; for others an empty column says that nothing was measured.
    (product) => product !== "direct" || cells.some((cell) => has(cell, product)),
  );
  const rows = cells.map((cell) => [
    cell.name,
    ...products.map((product) => {
      if (!isMeasured(cell, product)) return "cannot";
      if (figures.failure(cell, product) !== null && !has(cell, product)) return "failed";
      const value = show(figures.middle(cell, product, figure), digits);
      const base = times === "measure" ? cell.measure : times;
      const ratio = base === null ? null : figures.ratio(cell, product, figure, base);
      return ratio === null || value === "" ? value : `${value} (${ratio.toFixed(2)})`;
    }),
  ]);
  return [`${table.title}:`, markdownTable(["cell", ...products], rows)];
}

/** The first column reads from the left, figures stand to the right. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const widths = head.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]): string => {
    const padded = widths.map((width, column) => {
      const cell = cells[column] ?? "";
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    return `| ${padded.join(" | ")} |`;
  };
  const rule = widths.map((width, column) =>
    column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

function remarks({ cells, products }: Report, figures: Figures): string[] {
  const lines: string[] = [];
  for (const product of products) {
    // One cause often fails several cells.
    const byReason = new Map<string, string[]>();
    for (const cell of cells) {
      const cannot = cell.cannot[product];
      const failure = figures.failure(cell, product);
      const reason = cannot === undefined ? failure : `cannot: ${cannot}`;
      if (reason !== null) byReason.set(reason, [...(byReason.get(reason) ?? []), cell.name]);
    }
    for (const [reason, names] of byReason) {
      lines.push(`- ${product} in ${names.join(", ")}: ${reason}`);
    }
  }
  return lines;
}

function legend({ cells, products }: Report): string {
  const of = PRODUCTS.filter((one) => products.includes(one.name)).map(
    (one) => `- \`${one.name}\`: ${one.about}`,
  );
  return [...of, ...cells.map((cell) => `- \`${cell.name}\`: ${cell.about}`)].join("\n");
}

function show(value: number | null, digits: number): string {
  return value === null ? "" : value.toFixed(digits);
}
