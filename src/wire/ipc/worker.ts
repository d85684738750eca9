import type { ActivityName, NodeActivity, WorkerActivity } from "./activity.ts";
import type { CapsFromWorker, CapsToWorker } from "./caps.ts";
import type { ClientRow, NodeList, QueueRow } from "./clients.ts";
import type { DoorsFromWorker, DoorsToWorker } from "./doors.ts";
import type { PlacesFromWorker, PlacesToWorker } from "./places.ts";
import type { RouteItem, RouteQuestion } from "./route-question.ts";
import type { ClusterView } from "./view.ts";

/** The lease of a node without a watchdog, which nobody can contradict. */
export const LEASE_FOR_EVER_MS = Number.MAX_SAFE_INTEGER;

/** Supervisor to worker. */
export type ToWorker =
  | PlacesToWorker
  | CapsToWorker
  | DoorsToWorker
  /** Answered by `applied` when its index is a new one. */
  | { readonly type: "view"; readonly view: ClusterView }
  /**
   * The worker may forward statements by its view until then, of CLOCK_MONOTONIC in milliseconds.
   * A later one extends it; none is ever taken back.
   */
  | { readonly type: "lease"; readonly untilMs: number }
  /** Read the configuration files again. */
  | { readonly type: "reload" }
  /**
   * Nothing begins on this backend until `resume-backend`; what runs there, or is in a transaction,
   * goes on. Answered by `backend-paused`, again whenever its number changes.
   */
  | { readonly type: "pause-backend"; readonly backendId: number; readonly round: number }
  | { readonly type: "resume-backend"; readonly backendId: number }
  /** Answered by `route-explained`. */
  | { readonly type: "explain-route"; readonly id: number; readonly question: RouteQuestion }
  /** DDL has passed in another worker: what was looked up in this database is void. */
  | { readonly type: "catalog-changed"; readonly database: string; readonly functions: boolean }
  /** Sessions of another worker have written these tables, in lower case and without schema. */
  | {
      readonly type: "tables-written";
      readonly database: string;
      readonly tables: readonly string[];
    }
  /** Whoever is connected to this address of ours cannot be reached any more. */
  | { readonly type: "vip-left"; readonly address: string }
  /** Answered by the message of that name. */
  | { readonly type: "list"; readonly what: ListName; readonly id: number }
  /** Answers to `ask-list`. */
  | { readonly type: "all-clients"; readonly id: number; readonly list: NodeList<ClientRow> }
  | { readonly type: "all-queues"; readonly id: number; readonly list: NodeList<QueueRow> }
  | {
      readonly type: "all-activity";
      readonly what: ActivityName;
      readonly id: number;
      readonly activity: NodeActivity;
    }
  /**
   * Another worker, `from`, received a CancelRequest for a session of this one. Answered by
   * `cancelled` when nothing of it is under way any more, whether the key was right or not.
   */
  | {
      readonly type: "cancel";
      readonly processId: number;
      /** In base64. */
      readonly secretKey: string;
      readonly id: number;
      readonly from: number;
    }
  /** A `cancel` of this worker has come through, or could not. */
  | { readonly type: "cancelled"; readonly id: number }
  /** `smart`: no new clients, end when the last has left. `fast`: end the sessions now. */
  | { readonly type: "stop"; readonly mode: "smart" | "fast" };

/** Worker to supervisor. */
export type FromWorker =
  | PlacesFromWorker
  | CapsFromWorker
  | DoorsFromWorker
  /** On so many connections to the paused backend something still runs; 0: it is drained. */
  | {
      readonly type: "backend-paused";
      readonly backendId: number;
      /** Of the `pause-backend` that it answers. */
      readonly round: number;
      readonly running: number;
    }
  /** DDL has passed here; the other workers are told. */
  | { readonly type: "catalog-changed"; readonly database: string; readonly functions: boolean }
  /** Sessions of this worker have written these tables; the other workers are told. */
  | {
      readonly type: "tables-written";
      readonly database: string;
      readonly tables: readonly string[];
    }
  /** It routes by the view of this index, or a newer one, and by no older one any more. */
  | { readonly type: "applied"; readonly index: number }
  /** Something that only a person can change keeps this worker from running; it ends now. */
  | { readonly type: "unusable"; readonly reason: string }
  | { readonly type: "route-explained"; readonly id: number; readonly items: readonly RouteItem[] }
  /** Somebody asked this worker for what all have. */
  | { readonly type: "ask-list"; readonly what: ListName; readonly id: number }
  | { readonly type: "clients"; readonly id: number; readonly rows: readonly ClientRow[] }
  | { readonly type: "queues"; readonly id: number; readonly rows: readonly QueueRow[] }
  | {
      readonly type: "activity";
      readonly what: ActivityName;
      readonly id: number;
      readonly rows: readonly WorkerActivity[];
    }
  /** A CancelRequest whose `processId` names another worker; `id` is the sender's own number. */
  | {
      readonly type: "cancel";
      readonly processId: number;
      /** In base64. */
      readonly secretKey: string;
      readonly id: number;
    }
  /** The answer to a `cancel` that came from that worker. */
  | { readonly type: "cancelled"; readonly id: number; readonly from: number }
  /** A connection to a backend failed or broke; `failover_on_backend_error` decides what follows. */
  | {
      readonly type: "backend-error";
      readonly backendId: number;
      readonly cause: "connect" | "io" | "shutdown";
      readonly message: string;
    }
  /** Once a second, when something changed. Counts since the worker's start. */
  | {
      readonly type: "stats";
      readonly clients: ClientCounts;
      /** See STATISTIC. */
      readonly statistics: readonly number[];
    };

/** What the supervisor collects from all workers. */
export type ListName = "clients" | "queues" | ActivityName;

/** Of one worker, or of all; what is counted since the start is so far as the last tick said. */
export interface ClientCounts {
  /** Those that have a place. */
  readonly clients: number;
  readonly waiting: number;
  /** Since the start: clients whose wait was not given up; longer than a question takes. */
  readonly waited: number;
  /** At once; those that waited too long are counted apart. */
  readonly refused: number;
  readonly timedOut: number;
  /** The longest wait that ended, and was not given up by the client. */
  readonly longestWaitMs: number;
}

/**
 * The process id that a client is handed in BackendKeyData: the worker's number in the upper
 * bits, so that whichever worker receives the CancelRequest can pass it on.
 */
export const CANCEL_WORKER_SHIFT = 20;

export function workerOfProcessId(processId: number): number {
  return processId >>> CANCEL_WORKER_SHIFT;
}
