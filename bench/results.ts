/** The file that keeps the figures of a run. Pure. */
import { fail, succeed, type Result } from "../src/base/index.ts";
import { CELLS, PRODUCTS } from "./plan.ts";
import { verdictsOf, type Report } from "./report.ts";
import type { SharesOfCell } from "./shares.ts";
import { Figures, type Sample } from "./summary.ts";

/** Medians first, for those who read it; the samples are what it is read back from. */
export function formatResults(report: Report): string {
  const figures = new Figures(report.samples);
  const medians = Object.fromEntries(
    report.cells.map((cell) => [
      cell.name,
      Object.fromEntries(
        report.products
          .filter((product) => figures.isAsked(cell, product))
          .map((product) => [product, figures.summary(cell, product)]),
      ),
    ]),
  );
  const targets = verdictsOf(report).map(({ target, measured, isMet }) => ({
    ...target,
    cell: target.cell.name,
    measured,
    isMet,
  }));
  const { facts, products, samples, shares } = report;
  const cells = report.cells.map((cell) => cell.name);
  return `${JSON.stringify({ facts, targets, medians, shares, products, cells, samples }, null, 1)}\n`;
}

/** Errors: that it is no such file. Cells that are no longer known are left out. */
export function parseResults(text: string): Result<Report, string> {
  const read = readJson(text);
  if (!isResults(read)) return fail("it is no file of results");
  const cells = CELLS.filter((cell) => read.cells.includes(cell.name));
  const products = PRODUCTS.map((one) => one.name).filter((name) => read.products.includes(name));
  const { samples, shares, facts } = read;
  return succeed({ cells, products, samples, shares, facts });
}

interface Results {
  readonly facts: readonly string[];
  readonly products: readonly string[];
  readonly cells: readonly string[];
  readonly samples: readonly Sample[];
  readonly shares: readonly SharesOfCell[];
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isResults(read: unknown): read is Results {
  if (typeof read !== "object" || read === null) return false;
  const { facts, products, cells, samples, shares } = read as Record<string, unknown>;
  return [facts, products, cells, samples, shares].every((one) => Array.isArray(one));
}
