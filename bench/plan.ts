/** What is measured: the cells, the products, and the order of the runs. Pure. */

/** One load: all SELECTs by primary key of pgbench's own script, so the proxy is what differs. */
export interface Cell {
  readonly name: string;
  readonly clients: number;
  /** Of pgbench. */
  readonly threads: number;
  readonly protocol: "simple" | "extended" | "prepared";
  /** Each query over a connection of its own. */
  readonly reconnects: boolean;
  /** Also measured with a primary and a standby. */
  readonly splits: boolean;
  /** Measured unless other cells are asked for. */
  readonly isUsual: boolean;
}

const load = (protocol: Cell["protocol"], clients: number, isUsual: boolean): Cell => ({
  name: `${protocol}-${clients}`,
  clients,
  threads: clients > 8 ? 2 : 1,
  protocol,
  reconnects: false,
  splits: clients > 8,
  isUsual,
});

export const CELLS: readonly Cell[] = [
  load("simple", 32, true),
  load("extended", 32, true),
  load("prepared", 32, true),
  load("simple", 8, true),
  load("extended", 8, false),
  load("prepared", 8, false),
  // pgbench waits for each connection before it goes on: a thread is a client at work.
  {
    name: "connect",
    clients: 4,
    threads: 4,
    protocol: "simple",
    reconnects: true,
    splits: false,
    isUsual: true,
  },
];

export const CLIENTS_MAX = Math.max(...CELLS.map((cell) => cell.clients));

export const PRODUCTS = [
  { name: "direct", splits: false, about: "PostgreSQL with nothing before it" },
  { name: "pgbouncer", splits: false, about: "session pooling; the measure of the ratios" },
  { name: "pgbouncer-tx", splits: false, about: "transaction pooling, 16 server connections" },
  { name: "pgpool2", splits: false, about: "Debian's Pgpool-II, one server" },
  { name: "pgpool2-split", splits: true, about: "the same, reads over a primary and a standby" },
  { name: "pgquorum", splits: false, about: "one worker, one server, no watchdog" },
  { name: "pgquorum-split", splits: true, about: "the same, reads over a primary and a standby" },
  { name: "against", splits: false, about: "pgquorum of another commit, as `pgquorum`" },
] as const;
export type Product = (typeof PRODUCTS)[number];
export type ProductName = Product["name"];

/** What the others are measured by. */
export const MEASURE: ProductName = "pgbouncer";

export interface Run {
  readonly round: number;
  readonly cell: Cell;
  readonly product: ProductName;
}

/**
 * Every product in every cell, product by product within a cell, so that what slows the machine
 * down for a while slows all of them. Each round begins with another product.
 */
export function planRuns(
  cells: readonly Cell[],
  products: readonly ProductName[],
  rounds: number,
): readonly Run[] {
  const runs: Run[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const shift = products.length === 0 ? 0 : round % products.length;
    const rotated = [...products.slice(shift), ...products.slice(0, shift)];
    for (const cell of cells) {
      for (const product of rotated) {
        if (isMeasured(cell, product)) runs.push({ round, cell, product });
      }
    }
  }
  return runs;
}

export function isMeasured(cell: Cell, product: ProductName): boolean {
  const splits = PRODUCTS.some((one) => one.name === product && one.splits);
  return cell.splits || !splits;
}

/** pgbench's arguments for a cell, without those that say where. */
export function pgbenchArguments(
  cell: Cell,
  amount: { readonly seconds: number } | { readonly queriesPerClient: number },
): readonly string[] {
  const how = ["-n", "-S", "-M", cell.protocol, "-c", `${cell.clients}`, "-j", `${cell.threads}`];
  if (cell.reconnects) how.push("-C");
  if ("seconds" in amount) return [...how, "-T", `${amount.seconds}`];
  return [...how, "-t", `${amount.queriesPerClient}`];
}
