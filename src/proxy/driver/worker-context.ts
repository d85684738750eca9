import type { HbaRule, PoolPasswdEntry } from "../../auth/index.ts";
import type { Config } from "../../config/index.ts";
import type {
  ClientRow,
  ClusterView,
  FromWorker,
  ActivityName,
  NodeActivity,
  NodeList,
  QueueRow,
} from "../../wire/ipc/index.ts";
import type { Log } from "../../os/index.ts";
import type { Catalogs, RoutingRules, TableMutations } from "../core/routing/index.ts";
import type { KnownStates } from "../core/session/index.ts";
import type { ClassifyBytes } from "../core/sql/index.ts";
import type { BackendPauses } from "./backend-pauses.ts";
import type { BackendPool } from "./backend-pool.ts";
import type { AcceptedClient, SocketIo } from "./byte-socket.ts";
import type { PrimaryWatch } from "./primary-watch.ts";
import type { ReplayWatch } from "./replay-watch.ts";
import type { SharedConnections } from "./shared-connections.ts";
import type { SyncWaits } from "./sync-waits.ts";
import type { TimedGate } from "./timed-gate.ts";

/** What a configuration gives to sessions that start from now on; replaced as a whole by a reload. */
export interface Settings {
  readonly config: Config;
  readonly rules: RoutingRules;
  readonly hbaRules: readonly HbaRule[];
  readonly users: ReadonlyMap<string, PoolPasswdEntry>;
  /** Keeps the SCRAM salts of made-up users the same. */
  readonly saltSeed: Buffer;
  /** This machine's addresses as `10.0.0.1/24`. */
  readonly ownAddresses: readonly string[];
  /** This worker's share of the clients, until the supervisor gives it another. */
  readonly clientsMax: number;
}

/** What all connections of a worker share. */
export interface WorkerContext {
  /** 1 to the number of workers. */
  readonly workerId: number;
  readonly log: Log;
  readonly io: SocketIo;
  /** Connections that belong to a session for its life. */
  readonly pool: BackendPool;
  /** Those that sessions share. */
  readonly shared: SharedConnections;
  readonly classify: ClassifyBytes;
  readonly settings: () => Settings;
  /** As sessions take it. */
  readonly view: () => ClusterView;
  /** As it is shown to people: with standbys that this worker alone does without. */
  readonly wholeView: () => ClusterView;
  /** This standby lets a read wait. */
  readonly awaited: (backendId: number) => void;
  /** Asks for the clients of all workers; null when nobody answers. Never at once. */
  readonly askForClients: (done: (list: NodeList<ClientRow> | null) => void) => void;
  /** The same for their queues. */
  readonly askForQueues: (done: (list: NodeList<QueueRow> | null) => void) => void;
  readonly gate: TimedGate;
  readonly primary: PrimaryWatch;
  readonly replay: ReplayWatch;
  readonly syncWaits: SyncWaits;
  readonly pauses: BackendPauses;
  readonly catalogs: Catalogs;
  /** What all sessions of the node write, for dml_adaptive_global. */
  readonly mutations: TableMutations;
  /** DDL has passed in this database. */
  readonly catalogChanged: (database: string, functions: boolean) => void;
  /** Of sessions whose connections are shared. */
  readonly known: KnownStates;
  readonly tell: (message: FromWorker) => void;
  /** Gives a client to the supervisor, for another worker. */
  readonly passClient: (client: AcceptedClient) => void;
  /** See STATISTIC. */
  readonly statistics: number[];
  /** What all workers do; null when nobody answers. Never at once. */
  readonly askForActivity: (
    what: ActivityName,
    done: (activity: NodeActivity | null) => void,
  ) => void;
  readonly poolStatus: () => readonly {
    readonly item: string;
    readonly value: string;
    readonly description: string;
  }[];
  readonly version: () => string;
}
