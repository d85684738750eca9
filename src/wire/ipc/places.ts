/**
 * How the workers of a node share `num_init_children` places for clients. A place belongs to the
 * supervisor or to one worker; a worker keeps those it was given, so that a client that finds one
 * costs no message. Only where a worker has none left, or somebody waits, do they talk.
 */

/** Supervisor to worker. */
export type PlacesToWorker =
  /** All that the worker has, before it serves anybody. `round` as in `places-scarce`. */
  | { readonly type: "places"; readonly count: number; readonly round: number | null }
  /** A place for each of these tickets, and some more for clients to come. */
  | {
      readonly type: "places-granted";
      readonly tickets: readonly number[];
      readonly spareCount: number;
    }
  /** They may not wait, or too many do. */
  | { readonly type: "places-refused"; readonly tickets: readonly number[] }
  /**
   * A number: somebody waits, so what is unused now, and whatever is left from now on, goes back;
   * answered by `places-returned` with this number, also when nothing is unused. Null: nobody
   * waits any more.
   */
  | { readonly type: "places-scarce"; readonly round: number | null };

/** Worker to supervisor. */
export type PlacesFromWorker =
  /** A client waits since then, of CLOCK_MONOTONIC, for which all clients of a host are in order. */
  | { readonly type: "place-wanted"; readonly ticket: number; readonly sinceMs: number }
  /** It does not wait any more. */
  | { readonly type: "place-unwanted"; readonly ticket: number }
  | { readonly type: "places-returned"; readonly count: number; readonly round: number };
