/** The figures as text: tables in Markdown that can be read as they are. Pure. */
import { isMeasured, MEASURE, PRODUCTS, type Cell, type ProductName } from "./plan.ts";
import { summarize, type Sample, type Summary } from "./summary.ts";

export interface Report {
  readonly cells: readonly Cell[];
  readonly products: readonly ProductName[];
  readonly samples: readonly Sample[];
  /** Products that could not be measured at all, and why. */
  readonly missing: ReadonlyMap<ProductName, string>;
  /** About machine, versions and the run, a line each. */
  readonly facts: readonly string[];
}

type Show = (summary: Summary) => string;

export function formatReport(report: Report): string {
  const measured = report.products.filter((product) => product !== "direct");
  const parts = [
    report.facts.map((fact) => `- ${fact}`).join("\n"),
    `Processor time per query in all processes of the proxy, µs (× ${MEASURE}):`,
    table(report, measured, (one) => withRatio(one.cpuMicrosPerQuery, one.cpuRatio, 1)),
    `Queries per second (× ${MEASURE}):`,
    table(report, report.products, (one) => withRatio(one.tps, one.tpsRatio, 0)),
    "Memory after the run, MiB (proportional set size of all processes):",
    table(report, measured, (one) => number(one.pssMib, 1)),
    remarks(report).join("\n"),
    legend(report.products),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

function table(report: Report, products: readonly ProductName[], show: Show): string {
  const rows = report.cells.map((cell) => [
    cell.name,
    ...products.map((product) => {
      if (report.missing.has(product)) return "missing";
      if (!isMeasured(cell, product)) return "";
      const summary = summarize(report.samples, cell.name, product);
      return summary.rounds === 0 ? "failed" : show(summary);
    }),
  ]);
  return markdownTable(["cell", ...products], rows);
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

function remarks({ cells, products, samples, missing }: Report): string[] {
  const lines = [...missing].map(([product, why]) => `- ${product}: ${why}`);
  for (const product of products) {
    // One cause often fails several cells.
    const byReason = new Map<string, string[]>();
    for (const cell of cells) {
      const { failure } = summarize(samples, cell.name, product);
      if (failure === null) continue;
      byReason.set(failure, [...(byReason.get(failure) ?? []), cell.name]);
    }
    for (const [reason, names] of byReason) {
      lines.push(`- ${product} failed in ${names.join(", ")}: ${reason}`);
    }
  }
  return lines;
}

function legend(products: readonly ProductName[]): string {
  return PRODUCTS.filter((one) => products.includes(one.name))
    .map((one) => `- \`${one.name}\`: ${one.about}`)
    .join("\n");
}

function withRatio(value: number | null, ratio: number | null, digits: number): string {
  if (value === null) return "";
  return ratio === null ? number(value, digits) : `${number(value, digits)} (${ratio.toFixed(2)})`;
}

function number(value: number | null, digits: number): string {
  return value === null ? "" : value.toFixed(digits);
}
