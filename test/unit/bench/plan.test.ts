import { describe, expect, it } from "vitest";
import { CELLS, pgbenchArguments, planRuns, type Cell } from "../../../bench/plan.ts";

const cell = (name: string): Cell => CELLS.find((one) => one.name === name) as Cell;

describe("the order of the runs", () => {
  it("takes the products in turns within a cell, and begins each round with another", () => {
    const runs = planRuns([cell("simple-32")], ["pgbouncer", "pgpool2", "pgquorum"], 2);
    expect(runs.map((run) => `${run.round} ${run.product}`)).toEqual([
      "0 pgbouncer",
      "0 pgpool2",
      "0 pgquorum",
      "1 pgpool2",
      "1 pgquorum",
      "1 pgbouncer",
    ]);
  });

  it("measures split reads only where a cell wants them", () => {
    const runs = planRuns([cell("simple-32"), cell("connect")], ["pgquorum", "pgquorum-split"], 1);
    expect(runs.map((run) => `${run.cell.name} ${run.product}`)).toEqual([
      "simple-32 pgquorum",
      "simple-32 pgquorum-split",
      "connect pgquorum",
    ]);
  });

  it("is empty when nothing can be measured", () => {
    expect(planRuns(CELLS, [], 3)).toEqual([]);
  });
});

describe("pgbench's arguments", () => {
  it("say protocol, clients, threads and time", () => {
    expect(pgbenchArguments(cell("prepared-32"), { seconds: 3 }).join(" ")).toBe(
      "-n -S -M prepared -c 32 -j 2 -T 3",
    );
  });

  it("ask for a connection a query where that is measured", () => {
    expect(pgbenchArguments(cell("connect"), { queriesPerClient: 100 }).join(" ")).toBe(
      "-n -S -M simple -c 4 -j 4 -C -t 100",
    );
  });
});
