/**
 * How the workers of a node share what `max_backend_connections`, `max_db_connections` and
 * `max_user_connections` allow. They talk only where one of these is set: then a worker asks before
 * it opens a server connection, and says when one is gone.
 */

/** What a server connection counts as. */
export interface ConnectionKind {
  readonly backendId: number;
  readonly database: string;
  readonly user: string;
}

/** What is bounded: one server, one database of it, one of its users. */
export function capRooms({ backendId, database, user }: ConnectionKind): CapRooms {
  return {
    backend: `backend ${backendId}`,
    database: `backend ${backendId} database ${database}`,
    user: `backend ${backendId} user ${user}`,
  };
}

export interface CapRooms {
  readonly backend: string;
  readonly database: string;
  readonly user: string;
}

/** A bound that keeps somebody waiting. */
export interface ScarceRoom {
  readonly room: string;
  /** What each worker that has or wants some may keep; of what is more it gives what it does not need. */
  readonly share: number;
  /** Another worker has less than that, and waits: so it gives also what it needs itself. */
  readonly isOwed: boolean;
}

/** Supervisor to worker. */
export type CapsToWorker =
  /** So many may be opened; what is not needed any more is `connection-closed` again. */
  | {
      readonly type: "connections-granted";
      readonly kind: ConnectionKind;
      readonly count: number;
    }
  /** All of them; what is not there any more is plenty. */
  | { readonly type: "connections-scarce"; readonly rooms: readonly ScarceRoom[] };

/** Worker to supervisor. */
export type CapsFromWorker =
  /** So many of this kind are waited for now, 0 when none is. */
  | { readonly type: "connections-wanted"; readonly kind: ConnectionKind; readonly count: number }
  /** One that was granted is gone. */
  | { readonly type: "connection-closed"; readonly kind: ConnectionKind };
