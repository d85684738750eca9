import { describe, expect, it } from "vitest";
import { BEGIN, END, putTables } from "../../../bench/docs-table.ts";
import { CELLS, type ProductName } from "../../../bench/plan.ts";
import { costlyCells, formatReport, markdownTable, type Report } from "../../../bench/report.ts";
import { formatResults, parseResults } from "../../../bench/results.ts";
import type { MeasuredFigure, Sample } from "../../../bench/summary.ts";
import { TARGETS } from "../../../bench/targets.ts";

const cells = CELLS.filter((cell) => ["simple-32", "copy-200", "split-simple"].includes(cell.name));

function sample(
  cell: string,
  product: ProductName,
  figures: Partial<Record<MeasuredFigure, number>>,
): Sample {
  return { round: 0, cell, product, outcome: { kind: "measured", figures } };
}

const report: Report = {
  cells,
  products: ["direct", "pgbouncer", "pgpool2", "pgquorum"],
  samples: [
    sample("simple-32", "direct", { tps: 1000 }),
    sample("simple-32", "pgbouncer", { tps: 800, cpuMicros: 10 }),
    sample("simple-32", "pgpool2", { tps: 400, cpuMicros: 30 }),
    sample("simple-32", "pgquorum", { tps: 784, cpuMicros: 12 }),
    sample("copy-200", "pgbouncer", { cpuMsPerGb: 400 }),
    { ...sample("copy-200", "pgquorum", {}), outcome: { kind: "failed", reason: "it hung" } },
    sample("split-simple", "pgpool2", { tps: 400, cpuMicros: 80 }),
    sample("split-simple", "pgquorum", { tps: 420, cpuMicros: 20 }),
  ],
  shares: [
    {
      cell: "simple-32",
      product: "pgquorum",
      shares: { kernel: 0.5, JavaScript: 0.25, program: 0.125, libraries: 0.125 },
    },
  ],
  facts: ["a machine"],
};

describe("a table", () => {
  it("is as wide as its widest cells, with figures to the right", () => {
    expect(markdownTable(["cell", "a"], [["simple", "1.0 (1.00)"], ["x"]])).toBe(
      [
        "| cell   |          a |",
        "| ------ | ---------: |",
        "| simple | 1.0 (1.00) |",
        "| x      |            |",
      ].join("\n"),
    );
  });
});

describe("the report", () => {
  const text = formatReport(report);
  const rowsOf = (cell: string): readonly string[] =>
    text
      .split("\n")
      .filter((line) => line.startsWith(`| ${cell} `))
      .map((line) => line.replaceAll(/ +/g, " "));

  it("says of every target whether it was met, and by how much", () => {
    expect(text).toContain("Targets, 3 of 7 met:");
    expect(rowsOf("simple-32").slice(0, 2)).toEqual([
      "| simple-32 | processor time | ≤ 1.15 × pgbouncer | 1.20 | MISSED |",
      "| simple-32 | queries per second | ≥ 0.95 × pgbouncer | 0.98 | met |",
    ]);
    expect(rowsOf("copy-200")[0]).toContain("| not measured |");
  });

  it("shows figures beside the rivals', with the ratio to the one that the cell is measured by", () => {
    expect(rowsOf("simple-32")[3]).toBe("| simple-32 | 10.0 (1.00) | 30.0 (3.00) | 12.0 (1.20) |");
    expect(rowsOf("split-simple")[2]).toBe("| split-simple | cannot | 80.0 (1.00) | 20.0 (0.25) |");
  });

  it("shares out the processor time of what costs more than it should", () => {
    expect(costlyCells(report).map((cell) => cell.name)).toEqual(["simple-32"]);
    expect(rowsOf("simple-32")[2]).toBe("| simple-32 | pgquorum | 6.0 | 3.0 | 1.5 | 1.5 | 12.0 |");
  });

  it("has no processor time of PostgreSQL itself, but its queries per second", () => {
    const [, cpu = "", tps = ""] = text.split(/Processor time per query|Queries per second/);
    expect(cpu).not.toContain("direct");
    expect(tps).toContain("direct");
  });

  it("names who failed, who cannot, and why", () => {
    expect(rowsOf("copy-200").at(-1)).toContain("| failed |");
    expect(text).toContain("- pgquorum in copy-200: it hung");
    expect(text).toContain("- pgbouncer in split-simple: cannot: PgBouncer does not spread reads");
  });

  it("judges another commit by the same targets", () => {
    const samples = [...report.samples, sample("simple-32", "against", { cpuMicros: 11 })];
    const both = formatReport({ ...report, samples, products: [...report.products, "against"] });
    expect(both.replaceAll(/ +/g, " ")).toContain("| ≤ 1.15 × pgbouncer | 1.20 | 1.10 | MISSED |");
  });
});

describe("a file of results", () => {
  it("can be read back into the same report", () => {
    const read = parseResults(formatResults(report));
    expect(read.ok && formatReport(read.value)).toBe(formatReport(report));
  });

  it.each(["", "{}", "[]", "null", '{"facts":[],"cells":1}'])("is refused as %j", (text) => {
    expect(parseResults(text)).toEqual({ ok: false, error: "it is no file of results" });
  });
});

describe("the tables in the documentation", () => {
  it("replace those that stand between the marks, and nothing else", () => {
    const page = `before\n${BEGIN}\nold\n${END}\nafter\n`;
    const wanted = `before\n${BEGIN}\n\nnew\n\n${END}\nafter\n`;
    expect(putTables(page, "new\n")).toEqual({ ok: true, value: wanted });
    expect(putTables(wanted, "new\n")).toEqual({ ok: true, value: wanted });
  });

  it("have nowhere to go without the marks", () => {
    expect(putTables(`${END} ${BEGIN}`, "new")).toMatchObject({ ok: false });
  });
});

describe("the targets", () => {
  it("ask nothing of a rival that cannot play in the cell", () => {
    const strange = TARGETS.filter(({ cell, times }) => times !== null && times in cell.cannot);
    expect(strange).toEqual([]);
  });
});
