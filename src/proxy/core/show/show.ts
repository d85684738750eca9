import { fail, succeed, type Failure, type Result } from "../../../base/index.ts";
import type { ClientRow, ListName, NodeActivity, QueueRow } from "../../../wire/ipc/index.ts";
import { clientRows } from "./clients.ts";
import { showColumns, type Compat } from "./columns.ts";
import { maintenanceNotice } from "./maintenance.ts";
import { backendStatsRows, healthStatsRows, nodeRows, type NodeData } from "./nodes.ts";
import { poolCells, poolRows, processRows, type ProcessData } from "./processes.ts";
import { queueRows } from "./queues.ts";

export interface ShowData extends NodeData, ProcessData {
  readonly compat: Compat;
  /** `4.7.0 (pgquorum)` */
  readonly version: string;
  /** Rows of SHOW POOL_STATUS, in order. */
  readonly poolStatus: readonly StatusRow[];
  /** For the commands that need it; null when it cannot be had. */
  readonly clients: readonly ClientRow[] | null;
  readonly queues: readonly QueueRow[] | null;
}

interface StatusRow {
  readonly item: string;
  readonly value: string;
  readonly description: string;
}

export interface ShowAnswer {
  /** Null: it has no rows. */
  readonly columns: readonly string[] | null;
  readonly rows: readonly (readonly string[])[];
  /** Of CommandComplete: `SELECT n`, `SET`. */
  readonly tag: string;
  /** What a NOTICE says before that. */
  readonly notice?: string;
}

/** What all workers of the node have to be asked for, or null. */
export function needsList(name: string): ListName | null {
  switch (name) {
    case "pool_clients":
      return "clients";
    case "pool_queues":
      return "queues";
    case "pool_processes":
    case "pool_pools":
      return "activity";
    case "pool_nodes":
    case "pool_health_check_stats":
    case "pool_backend_stats":
      return "statistics";
    default:
      return null;
  }
}

/**
 * @param name the `name` of a `show-pool` class: `pool_nodes`.
 * Source: Pgpool-II manual, "SQL type commands".
 */
export function answerShow(name: string, data: ShowData): Result<ShowAnswer, Failure> {
  const rows = rowsOf(name, data);
  if (rows === null) return fail(NOT_KNOWN);
  const answer = { columns: showColumns(name, data.compat), rows, tag: `SELECT ${rows.length}` };
  const { maintenance } = data.view;
  const notice = name === "pool_nodes" ? maintenanceNotice(maintenance, data.formatTime) : null;
  return succeed(notice === null ? answer : { ...answer, notice });
}

/** Null: others did not say what is needed. */
function rowsOf(name: string, data: ShowData): readonly (readonly string[])[] | null {
  const { activity } = data;
  switch (name) {
    case "pool_nodes":
      return nodeRows(data);
    case "pool_version":
      return [[data.version]];
    case "pool_status":
      return data.poolStatus.map(({ item, value, description }) => [item, value, description]);
    case "pool_cache":
      return [NO_CACHE];
    case "pool_clients":
      return data.clients && clientRows(data.clients, data.formatTime);
    case "pool_queues":
      return data.queues && queueRows(data.queues);
    case "pool_processes":
      return activity && processRows(activity, data);
    case "pool_pools":
      return activity && poolsRows(activity, data);
    case "pool_backend_stats":
      return activity && backendStatsRows(data, activity);
    default:
      return activity && healthStatsRows(data, activity);
  }
}

function poolsRows(activity: NodeActivity, data: ShowData): readonly string[][] {
  const { length } = showColumns("pool_pools", data.compat);
  return poolRows(activity).map((row) => poolCells(row, data).slice(0, length));
}

/**
 * PGPOOL SET CACHE DELETE. Without a cache nothing is in it.
 *
 * Source: Pgpool-II manual, "PGPOOL SET".
 */
export function answerCacheDelete(query: string): ShowAnswer {
  const notice = `query cache does not exist for query: "${query}"`;
  return { columns: null, rows: [], tag: "SET", notice };
}

/** As Pgpool-II shows it while memory_cache_enabled is off. */
const NO_CACHE = ["0", "0", "0.00", "0", "0", "0", "0", "0", "0"];

const NOT_KNOWN: Failure = {
  severity: "ERROR",
  sqlstate: "58000",
  message: "what the other workers have is not known at the moment",
  hint: "The supervisor did not answer; try again, or see the log of the node.",
};
