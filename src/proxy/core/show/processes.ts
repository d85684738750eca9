/**
 * Clients and server connections as Pgpool-II shows them, which has a process for each client. Here
 * a process is a worker, and its number stands in every row of what it serves; so scripts that
 * count rows by their status, or look for who is connected, count the same.
 */
import type {
  ClientRow,
  ClientState,
  ConnectionRow,
  NodeActivity,
  WorkerActivity,
} from "../../../wire/ipc/index.ts";

export interface ProcessData {
  /** Milliseconds since 1970 -> `YYYY-MM-DD HH:MM:SS`, local time. */
  readonly formatTime: (wallMs: number) => string;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** num_init_children: so many rows has SHOW POOL_PROCESSES. */
  readonly placesMax: number;
  /** client_idle_limit; 0: none. */
  readonly idleSecondsMax: number;
}

/** SHOW POOL_PROCESSES: a row for each place for a client, the free ones last. */
export function processRows(
  { workers }: NodeActivity,
  { formatTime, placesMax }: ProcessData,
): readonly string[][] {
  const used = workers.flatMap((worker) =>
    inside(worker).map((client) => {
      const own = connectionsOf(client, worker)[0];
      return [
        ...processCells(worker, formatTime),
        client.database,
        client.user,
        own === undefined ? "" : formatTime(own.openedAt),
        own === undefined ? "" : String(own.usedCount),
        STATUS[client.state],
      ];
    }),
  );
  const free: string[][] = [];
  // Any worker may give a place that is free.
  for (let i = 0; used.length + free.length < placesMax && workers.length > 0; i += 1) {
    const worker = workers[i % workers.length] as WorkerActivity;
    free.push([...processCells(worker, formatTime), "", "", "", "", STATUS_FREE]);
  }
  return [...used, ...free];
}

/** A row of SHOW POOL_POOLS and of pcp_proc_info, by the names of the columns in 4.7. */
export interface PoolRow {
  readonly worker: WorkerActivity;
  /** Of this worker and backend, from 0. */
  readonly poolId: number;
  readonly connection: ConnectionRow;
  /** Who uses it at the moment. */
  readonly client: ClientRow | null;
}

/** The server connections that there are; Pgpool-II also lists those that there might be. */
export function poolRows({ workers }: NodeActivity): readonly PoolRow[] {
  return workers.flatMap((worker) => {
    const counts = new Map<number, number>();
    const clients = new Map<string, ClientRow>();
    for (const client of worker.clients) {
      for (const { id, processId } of client.backends) clients.set(`${id} ${processId}`, client);
    }
    return worker.connections.map((connection) => {
      const { backendId, processId } = connection;
      const poolId = counts.get(backendId) ?? 0;
      counts.set(backendId, poolId + 1);
      const client = clients.get(`${backendId} ${processId}`) ?? null;
      return { worker, poolId, connection, client };
    });
  });
}

/** All columns of 4.7; earlier releases have fewer. The last statement is not kept. */
export function poolCells(row: PoolRow, data: ProcessData): string[] {
  const { formatTime, nowMs } = data;
  const { worker, poolId, connection, client } = row;
  const isIdle = client?.state === "idle" || client?.state === "idle in transaction";
  const idleMs = client !== null && isIdle ? nowMs - client.stateSince : 0;
  const idleSeconds = Math.max(0, Math.trunc(idleMs / 1000));
  const { leftAt } = connection;
  return [
    ...processCells(worker, formatTime),
    String(poolId),
    String(connection.backendId),
    connection.database,
    connection.user,
    formatTime(connection.openedAt),
    client === null ? "" : formatTime(client.connectedAt),
    leftAt === null ? "" : formatTime(leftAt),
    client === null ? "0" : idleText(idleSeconds, data.idleSecondsMax),
    "3",
    "0",
    String(connection.usedCount),
    String(connection.processId),
    client === null ? "0" : "1",
    client === null ? STATUS_FREE : STATUS[client.state],
    client?.loadBalanceNode === connection.backendId ? "1" : "0",
    client?.address ?? "",
    client === null || client.port === null ? "" : String(client.port),
    "",
  ];
}

/** `2 (1:38 before client disconnected)` where client_idle_limit is set. */
function idleText(seconds: number, secondsMax: number): string {
  if (secondsMax === 0) return String(seconds);
  const left = Math.max(0, secondsMax - seconds);
  const rest = `${Math.trunc(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  return `${seconds} (${rest} before client disconnected)`;
}

const STATUS_FREE = "Wait for connection";

const STATUS: Readonly<Record<ClientState, string>> = {
  "waiting for a place": STATUS_FREE,
  "logging in": "Connecting",
  idle: "Idle",
  "idle in transaction": "Idle in transaction",
  active: "Execute command",
  "waiting for a backend": "Execute command",
};

/** pool_pid, start_time, client_connection_count. */
function processCells(
  worker: WorkerActivity,
  formatTime: (wallMs: number) => string,
): readonly string[] {
  return [String(worker.workerPid), formatTime(worker.startedAt), String(worker.clientsServed)];
}

function inside({ clients }: WorkerActivity): readonly ClientRow[] {
  return clients.filter(({ state }) => state !== "waiting for a place");
}

function connectionsOf(client: ClientRow, worker: WorkerActivity): readonly ConnectionRow[] {
  return client.backends.flatMap(
    ({ id, processId }) =>
      worker.connections.find((one) => one.backendId === id && one.processId === processId) ?? [],
  );
}
