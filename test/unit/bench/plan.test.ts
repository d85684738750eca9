import { describe, expect, it } from "vitest";
import {
  CELLS,
  pgbenchArguments,
  planActs,
  planRuns,
  SETTINGS,
  type Cell,
} from "../../../bench/plan.ts";

const cell = (name: string): Cell => CELLS.find((one) => one.name === name) as Cell;

function argumentsOf(name: string, seconds: number): string {
  const { load } = cell(name);
  if (load.kind !== "pgbench") throw new Error(`${name} is not for pgbench`);
  return pgbenchArguments(load, seconds).join(" ");
}

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

  it("leaves out who cannot do what a cell wants", () => {
    const runs = planRuns([cell("split-simple"), cell("tx-500")], ["pgbouncer", "pgpool2"], 1);
    expect(runs.map((run) => `${run.cell.name} ${run.product}`)).toEqual([
      "split-simple pgpool2",
      "tx-500 pgbouncer",
    ]);
  });

  it("is empty when nothing can be measured", () => {
    expect(planRuns(CELLS, [], 3)).toEqual([]);
  });
});

describe("the acts", () => {
  it("bring together the cells with the same setting, and the products that can play", () => {
    const cells = [cell("simple-32"), cell("tx-500"), cell("simple-8")];
    const acts = planActs(cells, ["pgpool2", "pgquorum"], 1);
    expect(acts.map(({ setting, products }) => [setting, products])).toEqual([
      ["session", ["pgpool2", "pgquorum"]],
      ["transaction-16", ["pgquorum"]],
    ]);
    expect(acts[0]?.runs.map((run) => run.cell.name)).toEqual([
      "simple-32",
      "simple-32",
      "simple-8",
      "simple-8",
    ]);
  });

  it("warm up each proxy once for each kind of load", () => {
    const cells = [cell("simple-32"), cell("latency"), cell("connect")];
    const [act] = planActs(cells, ["direct", "pgquorum"], 4);
    expect(act?.warmUps.map((run) => run.cell.name)).toEqual(["latency", "connect"]);
  });

  it("are of one product that was not used before where memory is measured", () => {
    const acts = planActs([cell("idle-500")], ["direct", "pgbouncer", "pgquorum"], 2);
    expect(acts).toMatchObject([
      { products: ["pgbouncer"], warmUps: [], runs: [{ round: 0 }] },
      { products: ["pgquorum"], warmUps: [], runs: [{ round: 0 }] },
      { products: ["pgquorum"], warmUps: [], runs: [{ round: 1 }] },
      { products: ["pgbouncer"], warmUps: [], runs: [{ round: 1 }] },
    ]);
  });
});

describe("every cell", () => {
  it.each(CELLS.map((one) => [one.name, one] as const))(
    "of the name %s has room for its clients, and a rival to be compared with",
    (_, { load, setting, measure, cannot }) => {
      const clients = "clients" in load ? load.clients : 1;
      expect(SETTINGS[setting].clientsMax).toBeGreaterThan(clients);
      if (load.kind === "idle") expect(SETTINGS[setting].clientsMax).toBeGreaterThan(2 * clients);
      if (SETTINGS[setting].poolMode === "session") {
        expect(SETTINGS[setting].poolSize).toBeGreaterThan(clients);
      }
      expect(["pgbouncer", "pgpool2"]).toContain(measure);
      expect(cannot).not.toHaveProperty("pgquorum");
    },
  );
});

describe("pgbench's arguments", () => {
  it("say protocol, clients, threads and time, and ask for the progress", () => {
    expect(argumentsOf("prepared-32", 3)).toBe("-n -S -M prepared -c 32 -j 2 -P 1 -T 3");
  });

  it("ask for a connection a query where that is measured", () => {
    expect(argumentsOf("connect", 2)).toBe("-n -S -M simple -c 4 -j 4 -C -P 1 -T 2");
  });
});
