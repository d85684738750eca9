/** What is measured: the cells, the products, the settings, and the order of the runs. Pure. */

export const PRODUCTS = [
  { name: "direct", about: "PostgreSQL with nothing before it" },
  { name: "pgbouncer", about: "Debian's PgBouncer" },
  { name: "pgpool2", about: "Debian's Pgpool-II" },
  { name: "pgquorum", about: "the sources as they are, no watchdog" },
  { name: "against", about: "pgquorum of another commit" },
] as const;
export type ProductName = (typeof PRODUCTS)[number]["name"];

/** How all products are set up for some cells, alike in what matters. */
export interface Setting {
  readonly poolMode: "session" | "transaction";
  /** Connections to each server. */
  readonly poolSize: number;
  readonly clientsMax: number;
  /** Reads are spread over the primary and as many. */
  readonly standbys: 0 | 2;
  /** How clients prove who they are; the products to PostgreSQL, too. */
  readonly auth: "trust" | "scram-sha-256";
  /** Of pgquorum. The rivals' figures are of one process at work: so are ours unless told. */
  readonly workers: number;
}

/** A few sessions more than a cell has clients: some of the cell before may still be leaving. */
const SPARE = 8;
const small: Setting = {
  poolMode: "session",
  poolSize: 32 + SPARE,
  clientsMax: 32 + SPARE,
  standbys: 0,
  auth: "trust",
  workers: 1,
};
const many = { clientsMax: 500 + SPARE };

export const SETTINGS = {
  session: small,
  "session-500": { ...small, ...many, poolSize: 500 + SPARE },
  "transaction-16": { ...small, ...many, poolMode: "transaction", poolSize: 16 },
  split: { ...small, standbys: 2 },
  scram: { ...small, auth: "scram-sha-256" },
  idle: { ...small, poolSize: 1000 + SPARE, clientsMax: 1000 + SPARE, workers: 2 },
  "transaction-50": {
    ...small,
    poolMode: "transaction",
    poolSize: 50,
    clientsMax: 10_000 + SPARE,
  },
} as const satisfies Record<string, Setting>;
export type SettingName = keyof typeof SETTINGS;

export type Protocol = "simple" | "extended" | "prepared";

export type Load =
  /** pgbench's SELECTs by primary key: the answer is tiny, so the proxy is what differs. */
  | {
      readonly kind: "pgbench";
      readonly protocol: Protocol;
      readonly clients: number;
      /** Each query over a connection of its own. */
      readonly reconnects: boolean;
    }
  /** One client that asks now and then. */
  | { readonly kind: "latency"; readonly perSecond: number }
  /** One client that fetches much at once. */
  | { readonly kind: "transfer"; readonly how: "copy" | "select"; readonly megabytes: number }
  /** Clients that asked once and stay; then as many again. */
  | { readonly kind: "idle"; readonly clients: number }
  /** Clients of our own that all ask without a pause. */
  | { readonly kind: "crowd"; readonly clients: number };

export interface Cell {
  readonly name: string;
  readonly about: string;
  readonly setting: SettingName;
  readonly load: Load;
  /** What the ratios of processor time are to. */
  readonly measure: ProductName;
  /** Who is not measured here, and why. */
  readonly cannot: Partial<Record<ProductName, string>>;
}

const NO_TRANSACTION_MODE = "Pgpool-II has no transaction pooling";
const NO_SPLIT = "PgBouncer does not spread reads";

function pgbench(
  name: string,
  protocol: Protocol,
  clients: number,
  own: Partial<Pick<Cell, "setting" | "measure" | "cannot" | "about">> = {},
): Cell {
  return {
    name,
    about: `${clients} clients, ${protocol} protocol`,
    setting: "session",
    load: { kind: "pgbench", protocol, clients, reconnects: false },
    measure: "pgbouncer",
    cannot: {},
    ...own,
  };
}

function split(name: string, protocol: Protocol, clients: number): Cell {
  const about = `${clients} clients, ${protocol} protocol, reads over a primary and two standbys`;
  const own = { setting: "split", measure: "pgpool2", cannot: { pgbouncer: NO_SPLIT } } as const;
  return pgbench(name, protocol, clients, { ...own, about });
}

function connect(name: string, setting: SettingName, cannot: Cell["cannot"] = {}): Cell {
  const { poolMode, auth } = SETTINGS[setting];
  // pgbench waits for each connection before it goes on: a thread is a client at work.
  const load = { kind: "pgbench", protocol: "simple", clients: 4, reconnects: true } as const;
  const about = `4 clients, a connection for every query, ${poolMode} mode, ${auth}`;
  return { name, about, setting, load, measure: "pgbouncer", cannot };
}

function transfer(how: "copy" | "select", megabytes: number): Cell {
  return {
    name: `${how}-${megabytes}`,
    about: `${how === "copy" ? "COPY out" : "a result"} of ${megabytes} MB, again and again`,
    setting: "session",
    load: { kind: "transfer", how, megabytes },
    measure: "pgbouncer",
    cannot: {},
  };
}

export const CELLS: readonly Cell[] = [
  pgbench("simple-32", "simple", 32),
  pgbench("simple-8", "simple", 8),
  pgbench("extended-32", "extended", 32),
  pgbench("prepared-32", "prepared", 32),
  pgbench("prepared-8", "prepared", 8),
  {
    name: "latency",
    about: "one client, 200 queries a second",
    setting: "session",
    load: { kind: "latency", perSecond: 200 },
    measure: "pgbouncer",
    cannot: {},
  },
  connect("connect", "session"),
  transfer("copy", 200),
  transfer("select", 100),
  connect("connect-scram", "scram"),
  pgbench("simple-500", "simple", 500, {
    setting: "session-500",
    about: "500 clients on 500 server connections, session mode",
  }),
  pgbench("tx-500", "simple", 500, {
    setting: "transaction-16",
    about: "500 clients over 16 server connections, transaction mode",
    cannot: { pgpool2: NO_TRANSACTION_MODE },
  }),
  pgbench("tx-prepared-500", "prepared", 500, {
    setting: "transaction-16",
    about: "the same with prepared statements",
    cannot: {
      pgpool2: NO_TRANSACTION_MODE,
      pgbouncer: "PgBouncer 1.18 knows no prepared statements in transaction mode",
    },
  }),
  connect("connect-tx", "transaction-16", { pgpool2: NO_TRANSACTION_MODE }),
  split("split-simple", "simple", 32),
  split("split-extended", "extended", 32),
  split("split-prepared", "prepared", 32),
  split("split-simple-1", "simple", 1),
  {
    name: "idle-500",
    about: "500 clients that asked once and stay; pgquorum with 2 workers",
    setting: "idle",
    load: { kind: "idle", clients: 500 },
    measure: "pgbouncer",
    cannot: { direct: "nothing stands before PostgreSQL" },
  },
  {
    name: "crowd-10000",
    about: "10 000 clients over 50 server connections, transaction mode",
    setting: "transaction-50",
    load: { kind: "crowd", clients: 10_000 },
    measure: "pgbouncer",
    cannot: { direct: "it would need 10 000 processes", pgpool2: NO_TRANSACTION_MODE },
  },
];

export interface Run {
  readonly round: number;
  readonly cell: Cell;
  readonly product: ProductName;
}

/** The runs with the products that stand side by side for them. */
export interface Act {
  readonly setting: SettingName;
  readonly products: readonly ProductName[];
  /** One of each product and kind of load, not counted. */
  readonly warmUps: readonly Run[];
  readonly runs: readonly Run[];
}

/** Starting anew costs more time than it tells. */
const ROUNDS_ALONE_MAX = 3;

/** Loads whose figure is memory: for every run the product is started anew, and stands alone. */
export function standsAlone({ load }: Cell): boolean {
  return load.kind === "idle" || load.kind === "crowd";
}

/**
 * One act a setting. Within it every product in every cell, product by product, so that what slows
 * the machine down for a while slows all of them. Each round begins with another product.
 */
export function planActs(
  cells: readonly Cell[],
  products: readonly ProductName[],
  rounds: number,
): readonly Act[] {
  const settings = [...new Set(cells.map((cell) => cell.setting))];
  return settings.flatMap((setting) => {
    const own = cells.filter((cell) => cell.setting === setting);
    const able = products.filter((name) => own.some((cell) => isMeasured(cell, name)));
    if (!own.every(standsAlone)) {
      // PostgreSQL itself is warm from what the others ask it.
      const warmUps = kindsOf(planRuns(own, able, 1)).filter(({ product }) => product !== "direct");
      return [{ setting, products: able, warmUps, runs: planRuns(own, able, rounds) }];
    }
    const alone = planRuns(own, able, Math.min(rounds, ROUNDS_ALONE_MAX));
    return alone.map((run) => ({ setting, products: [run.product], warmUps: [], runs: [run] }));
  });
}

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

/** The last of each product and kind of load. */
function kindsOf(runs: readonly Run[]): readonly Run[] {
  const kinds = new Map<string, Run>();
  for (const run of runs) kinds.set(`${run.product} ${kindOf(run.cell.load)}`, run);
  return [...kinds.values()];
}

function kindOf(load: Load): string {
  if (load.kind === "latency") return "simple";
  if (load.kind !== "pgbench") return load.kind;
  return load.reconnects ? "connect" : load.protocol;
}

export function isMeasured(cell: Cell, product: ProductName): boolean {
  return cell.cannot[product] === undefined;
}

/** pgbench's arguments for a load, without those that say where. */
export function pgbenchArguments(
  load: Extract<Load, { kind: "pgbench" }>,
  seconds: number,
): readonly string[] {
  const { clients, protocol, reconnects } = load;
  const threads = reconnects ? clients : clients > 8 ? 2 : 1;
  const how = ["-n", "-S", "-M", protocol, "-c", `${clients}`, "-j", `${threads}`];
  if (reconnects) how.push("-C");
  return [...how, "-P", "1", "-T", `${seconds}`];
}
