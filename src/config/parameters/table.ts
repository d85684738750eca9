import { BACKENDS } from "./backends.ts";
import { CACHE } from "./cache.ts";
import { CONNECTIONS } from "./connections.ts";
import { FAILOVER } from "./failover.ts";
import { LIFECHECK } from "./lifecheck.ts";
import { LOAD_BALANCING } from "./load-balancing.ts";
import { LOGGING } from "./logging.ts";
import { OWN } from "./own.ts";
import { INT_MAX } from "./parameter.ts";
import type { Context, ParameterRow, ParameterRows, Slots, Unit, Visibility } from "./parameter.ts";
import { POOLING } from "./pooling.ts";
import { TLS } from "./tls.ts";
import { VIRTUAL_IP } from "./virtual-ip.ts";
import { WATCHDOG } from "./watchdog.ts";

/** Every row by name; the types of `Config` come from here. */
export const TABLE = {
  ...CONNECTIONS,
  ...BACKENDS,
  ...POOLING,
  ...LOGGING,
  ...LOAD_BALANCING,
  ...FAILOVER,
  ...WATCHDOG,
  ...LIFECHECK,
  ...VIRTUAL_IP,
  ...CACHE,
  ...TLS,
  ...OWN,
} as const satisfies ParameterRows;

export type ParameterTable = typeof TABLE;
export type ParameterName = keyof ParameterTable;

export interface Section {
  readonly title: string;
  readonly about: string;
  readonly rows: ParameterRows;
}

/** The same rows in the order in which the sample file and the documentation present them. */
export const SECTIONS: readonly Section[] = [
  {
    title: "Listening, administration and files",
    about:
      "What clients and administrators connect to, who may, and where this node keeps its files.",
    rows: CONNECTIONS,
  },
  {
    title: "PostgreSQL servers",
    about: "The servers behind this node. N is the number of a server, from 0 to 127.",
    rows: BACKENDS,
  },
  {
    title: "Sessions and pooling",
    about: "How many clients are served at a time and how long connections live.",
    rows: POOLING,
  },
  { title: "Logging", about: "What is logged, where and in which form.", rows: LOGGING },
  {
    title: "Load balancing and streaming replication",
    about: "Which server a statement goes to, and how far a standby may lag.",
    rows: LOAD_BALANCING,
  },
  {
    title: "Health check and failover",
    about:
      "How a dead server is noticed and what is done then. The health check parameters may carry a server's number; without one they hold for every server that has none of its own.",
    rows: FAILOVER,
  },
  {
    title: "Watchdog",
    about:
      "The nodes that watch each other. N is the number of a node, from 0 to 127; each node finds its own number in the file pgpool_node_id beside pgpool.conf. All nodes may share one pgpool.conf.",
    rows: WATCHDOG,
  },
  {
    title: "Lifecheck",
    about: "How a node finds out which other nodes are alive and whether its own network works.",
    rows: LIFECHECK,
  },
  {
    title: "Virtual IP",
    about:
      "The address that moves with the leader. The three commands run only when they are set here; otherwise the node moves the address itself.",
    rows: VIRTUAL_IP,
  },
  {
    title: "Query cache and catalog cache",
    about: "Answers that are remembered instead of asked for again.",
    rows: CACHE,
  },
  { title: "TLS", about: "Encrypted connections, with clients and with servers.", rows: TLS },
  { title: "pgquorum", about: "Parameters that Pgpool-II does not have.", rows: OWN },
];

/** A row with everything spelled out, for readers that do not care how rows are written. */
export interface Parameter {
  readonly name: string;
  readonly type: ParameterRow["type"];
  readonly unit: Unit | null;
  readonly initial: boolean | number | string | readonly string[];
  /** Null where the type has no range. */
  readonly min: number | null;
  readonly max: number | null;
  /** Null where the type is no choice. */
  readonly values: readonly string[] | null;
  readonly context: Context;
  readonly visibility: Visibility;
  readonly since: string;
  readonly slots: Slots | null;
  readonly acts: boolean;
  readonly about: string;
}

export const PARAMETERS: readonly Parameter[] = SECTIONS.flatMap((section) =>
  Object.entries(section.rows).map(([name, row]) => spellOut(name, row)),
);

/** The row of that very name; null for an older or unknown name, or one with a number. */
export function findRow(name: string): ParameterRow | null {
  const rows: ParameterRows = TABLE;
  return Object.hasOwn(rows, name) ? (rows[name] ?? null) : null;
}

/** Whether the name alone, without a number, holds a value. */
export function isPlain(row: ParameterRow): boolean {
  return row.slots === undefined || row.plain === true;
}

export function minOf(row: { readonly min?: number }): number {
  return row.min ?? 0;
}

export function maxOf(row: { readonly max?: number }): number {
  return row.max ?? INT_MAX;
}

function spellOut(name: string, row: ParameterRow): Parameter {
  const isNumber = row.type === "int" || row.type === "double";
  return {
    name,
    type: row.type,
    unit: isNumber ? (row.unit ?? null) : null,
    initial: row.initial,
    min: isNumber ? minOf(row) : null,
    max: isNumber ? maxOf(row) : null,
    values: row.type === "enum" ? row.values : null,
    context: row.context,
    visibility: row.visibility ?? "shown",
    since: row.since,
    slots: row.slots ?? null,
    acts: row.acts,
    about: row.about,
  };
}
