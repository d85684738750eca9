/** What a client of this node does at the moment. */
export type ClientState =
  | "waiting for a place"
  | "logging in"
  | "idle"
  | "idle in transaction"
  | "active"
  /** Its statement is held until a server connection, a primary or the routing lease is there. */
  | "waiting for a backend";

/** One client, as `SHOW POOL_CLIENTS` and `pgquorum clients` show it; never a secret. */
export interface ClientRow {
  /** Number and process id of the worker that serves it. */
  readonly worker: number;
  readonly workerPid: number;
  /** The process id that it cancels with; 0 while it waits for a place. */
  readonly processId: number;
  /** Null: it came by a Unix socket. */
  readonly address: string | null;
  readonly port: number | null;
  readonly user: string;
  readonly database: string;
  readonly application: string;
  /** Wall clock, milliseconds since 1970. */
  readonly connectedAt: number;
  readonly state: ClientState;
  /** Wall clock; a second late at most. */
  readonly stateSince: number;
  /** Why it keeps its server connections between transactions; "" when it does not. */
  readonly keeps: string;
  /** Its server connections of this moment. */
  readonly backends: readonly { readonly id: number; readonly processId: number }[];
}

/** The clients of all workers; a worker that did not answer in time is told of. */
export interface ClientList {
  readonly clients: readonly ClientRow[];
  /** Numbers of the workers whose clients are missing. */
  readonly silentWorkers: readonly number[];
}
