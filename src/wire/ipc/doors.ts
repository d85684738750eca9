/**
 * How clients come to the workers. The supervisor binds the sockets and keeps them, so that the port
 * outlives any worker; each worker gets all of them and accepts by itself, since a connection that
 * goes through the supervisor costs several times as much. Whoever the kernel favoured passes new
 * connections on, by way of the supervisor, to the worker that has the fewest.
 */

/** Supervisor to worker. */
export type DoorsToWorker =
  /** Comes with a bound socket to accept from. */
  | { readonly type: "door"; readonly name: string; readonly path: string | null }
  /** All doors were given; answered by `ready`. */
  | { readonly type: "doors-given" }
  /** Comes with a client, which the worker keeps. */
  | { readonly type: "client" }
  /** What the other workers have, when that changed enough. */
  | { readonly type: "crowd"; readonly othersCount: number; readonly othersConnections: number };

/** Worker to supervisor. */
export type DoorsFromWorker =
  /** It accepts clients. */
  | { readonly type: "ready" }
  /** Comes with a client for another worker. */
  | { readonly type: "client" }
  /** How many connections of clients it has, when that changed enough. */
  | { readonly type: "connections"; readonly count: number }
  /** It takes no clients any more, and ends when the last has left. */
  | { readonly type: "leaving" };
