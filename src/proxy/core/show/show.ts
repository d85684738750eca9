import { fail, succeed, type Failure, type Result } from "../../../base/index.ts";
import type { BackendView, ClientRow, ClusterView, QueueRow } from "../../../wire/ipc/index.ts";
import { clientRows } from "./clients.ts";
import { SHOW_COLUMNS } from "./columns.ts";
import { queueRows } from "./queues.ts";

export interface ShowData {
  readonly view: ClusterView;
  /** This session's. */
  readonly loadBalanceNode: number | null;
  /** `4.7.0 (pgquorum)` */
  readonly version: string;
  /** Rows of SHOW POOL_STATUS, in order. */
  readonly poolStatus: readonly StatusRow[];
  /** Milliseconds since 1970 -> `YYYY-MM-DD HH:MM:SS`, local time. */
  readonly formatTime: (wallMs: number) => string;
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
  /** CommandComplete: `SELECT n`. ReadyForQuery after it is always `I`. */
  readonly tag: string;
}

/** What all workers of the node have to be asked for, or null. */
export function needsList(command: string): "clients" | "queues" | null {
  if (command === "pool_clients") return "clients";
  return command === "pool_queues" ? "queues" : null;
}

/**
 * @param command the `name` of a `show-pool` class: `pool_nodes`.
 * Source: Pgpool-II manual, "SQL type commands"; the columns are the same from 4.3 to 4.7.
 */
export function answerShow(command: string, data: ShowData): Result<ShowAnswer, Failure> {
  switch (command) {
    case "pool_nodes":
      return rowsOf(command, poolNodes(data));
    case "pool_version":
      return rowsOf(command, [[data.version]]);
    case "pool_status":
      return rowsOf(
        command,
        data.poolStatus.map(({ item, value, description }) => [item, value, description]),
      );
    case "pool_clients":
      if (data.clients === null) return fail(NO_LIST);
      return rowsOf(command, clientRows(data.clients, data.formatTime));
    case "pool_queues":
      if (data.queues === null) return fail(NO_LIST);
      return rowsOf(command, queueRows(data.queues));
    default:
      return fail({
        severity: "ERROR",
        sqlstate: "0A000",
        message: `SHOW ${command.toUpperCase()} is not available yet`,
        hint: "SHOW POOL_NODES, POOL_CLIENTS, POOL_QUEUES, POOL_VERSION and POOL_STATUS are.",
      });
  }
}

const NO_LIST: Failure = {
  severity: "ERROR",
  sqlstate: "58000",
  message: "what the other workers have is not known at the moment",
  hint: "The supervisor did not answer; try again, or see the log of the node.",
};

function rowsOf(command: string, rows: readonly (readonly string[])[]): Result<ShowAnswer, never> {
  return succeed({ columns: SHOW_COLUMNS[command] ?? [], rows, tag: `SELECT ${rows.length}` });
}

function poolNodes({ view, loadBalanceNode, formatTime }: ShowData): readonly string[][] {
  return view.backends.map((backend) => [
    String(backend.id),
    backend.hostname,
    String(backend.port),
    statusOf(backend),
    backend.pgStatus,
    backend.weight.toFixed(6),
    backend.id === view.primaryId ? "primary" : "standby",
    backend.pgRole,
    String(backend.selectCount),
    String(backend.id === loadBalanceNode),
    String(backend.id === view.primaryId ? 0 : backend.replicationDelayBytes),
    backend.replicationState,
    backend.replicationSyncState,
    formatTime(backend.stateChangedAt),
  ]);
}

function statusOf(backend: BackendView): string {
  return backend.quarantined ? "quarantine" : backend.state;
}
