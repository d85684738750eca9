import { describe, expect, it } from "vitest";
import { CELLS, type ProductName } from "../../../bench/plan.ts";
import { formatReport, markdownTable } from "../../../bench/report.ts";
import type { Sample } from "../../../bench/summary.ts";

const cells = CELLS.filter((cell) => ["simple-32", "connect"].includes(cell.name));

function sample(cell: string, product: ProductName, cpu: number | null): Sample {
  const figures = { queries: 1000, tps: 1000, latencyMs: 1, pssMib: 2.54 };
  return {
    round: 0,
    cell,
    product,
    outcome: { kind: "measured", ...figures, cpuMicrosPerQuery: cpu },
  };
}

const report = formatReport({
  cells,
  products: ["direct", "pgbouncer", "pgpool2-split", "pgquorum"],
  samples: [
    sample("simple-32", "direct", null),
    sample("simple-32", "pgbouncer", 10),
    sample("simple-32", "pgpool2-split", 30),
    { ...sample("simple-32", "pgquorum", 1), outcome: { kind: "failed", reason: "it hung" } },
    sample("connect", "direct", null),
    sample("connect", "pgbouncer", 100),
    sample("connect", "pgquorum", 250),
  ],
  missing: new Map(),
  facts: ["a machine"],
});

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
  it("shows figures with their ratio, leaves out what is not measured, and names failures", () => {
    expect(report).toContain("| simple-32 |  10.0 (1.00) |   30.0 (3.00) |       failed |");
    expect(report).toContain("| connect   | 100.0 (1.00) |               | 250.0 (2.50) |");
    expect(report).toContain("- pgquorum failed in simple-32: it hung");
  });

  it("has no processor time of PostgreSQL itself, but its queries per second", () => {
    const [cpu = "", tps = ""] = report.split("Queries per second");
    expect(cpu).not.toContain("direct");
    expect(tps).toContain("direct");
  });

  it("tells why a product is missing, and what helps", () => {
    const text = formatReport({
      cells,
      products: ["pgbouncer"],
      samples: [],
      missing: new Map([["pgbouncer", "not installed: install it"]]),
      facts: [],
    });
    expect(text).toContain("| connect   |   missing |");
    expect(text).toContain("- pgbouncer: not installed: install it");
  });
});
