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
  /** Where it reads, as far as that is chosen for the session. */
  readonly loadBalanceNode: number | null;
  /** Its server connections of this moment. */
  readonly backends: readonly { readonly id: number; readonly processId: number }[];
}

/**
 * Something that clients of one worker share and may have to wait for: its places for clients, or
 * the server connections of one kind that sessions take turns with.
 */
export interface QueueRow {
  readonly worker: number;
  readonly workerPid: number;
  readonly what: "places" | "connections";
  /** Of connections; null and "" of places. */
  readonly backendId: number | null;
  readonly user: string;
  readonly database: string;
  readonly used: number;
  /** Of places: those that the worker may give without asking. */
  readonly unused: number;
  /** 0: not known here; the places of a node are shared by all its workers. */
  readonly max: number;
  readonly waiting: number;
  /** How long who waits longest has waited; 0 when nobody does. */
  readonly oldestWaitMs: number;
}

/** What all workers told; one that did not answer in time is named. */
export interface NodeList<Row> {
  readonly rows: readonly Row[];
  /** Numbers of the workers whose rows are missing. */
  readonly silentWorkers: readonly number[];
}
