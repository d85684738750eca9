/** What a node knows of its backends at one moment; the supervisor makes it, workers route by it. */
export interface ClusterView {
  /** Of the committed state that it was made from; 0 before the first. */
  readonly index: number;
  /** Grows with every change of a backend's state or of the primary. */
  readonly epoch: number;
  /** The backend that takes writes, or null while none is known. */
  readonly primaryId: number | null;
  /** While it stays, the primary is the same server and was it all the time. */
  readonly primaryEpoch: number;
  /** A failover or promotion is under way that will name one: what needs the primary can wait. */
  readonly awaitsPrimary: boolean;
  /**
   * The primary that a switchover takes out of service: nothing begins there any more, what runs
   * ends as it will. Null while there is no switchover.
   */
  readonly drainingId: number | null;
  readonly backends: readonly BackendView[];
  /** While it is on, nothing is done to a backend unless a person asks. */
  readonly maintenance: Maintenance | null;
  /** Null while statements may run; else the reason that a client is told. */
  readonly refusal: string | null;
  /** One server is the primary and says so itself; in the other modes the others are its replicas. */
  readonly isStreaming: boolean;
  /** Delays are told as times, as delay_threshold_by_time measures them. */
  readonly delayIsTime: boolean;
}

export type BackendRole = "primary" | "standby" | "main" | "replica";

/** As Pgpool-II names it in the clustering mode of the view. */
export function roleOf({ primaryId, isStreaming }: ClusterView, backendId: number): BackendRole {
  if (isStreaming) return backendId === primaryId ? "primary" : "standby";
  return backendId === primaryId ? "main" : "replica";
}

export interface Maintenance {
  /** Wall clock, milliseconds since 1970. */
  readonly since: number;
  readonly by: string;
  readonly reason: string;
}

export type BackendState = "unused" | "waiting" | "up" | "down";

export interface BackendView {
  readonly id: number;
  readonly hostname: string;
  readonly port: number;
  /** Share of the reads, 0 to 1; the shares of all backends add up to 1 (or all are 0). */
  readonly weight: number;
  readonly state: BackendState;
  /** Down only because the watchdog cluster could not agree on a failover. */
  readonly quarantined: boolean;
  /** Wall clock, milliseconds since 1970, of the last change of `state`. */
  readonly stateChangedAt: number;
  /** Why it is in this state, for people. */
  readonly stateReason: string;
  /** It must not be routed to whatever its state is: why, and what a person does about it. */
  readonly problem: { readonly text: string; readonly remedy: string } | null;
  /** As found by the last live check. */
  readonly pgStatus: "up" | "down" | "unknown";
  readonly pgRole: BackendRole | "unknown";
  /** Bytes behind the primary; 0 for the primary itself. */
  readonly replicationDelayBytes: number;
  /** Milliseconds behind the primary; 0 for the primary itself, and when not known. */
  readonly replicationDelayMs: number;
  /** `streaming` and its kin, as in pg_stat_replication; "" when not known. */
  readonly replicationState: string;
  /** `async`, `sync`, `potential`, `quorum`; "" when not known. */
  readonly replicationSyncState: string;
  /** As the last replication check found it, down or not; null when not known. */
  readonly timeline: number | null;
  readonly systemIdentifier: string | null;
  /** Written by a primary, replayed by a standby; as PostgreSQL writes positions. */
  readonly walLsn: string | null;
  /** Received and flushed by a standby. */
  readonly receivedLsn: string | null;
  /** SELECTs sent to this backend since start by all workers of this node. */
  readonly selectCount: number;
}
