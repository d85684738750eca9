/** What is looked at before a switchover; all of it may be a moment old. */
import type { BackendConfig } from "../../../config/index.ts";
import type { BackendStatus, ServerIdentity } from "../status/index.ts";

export interface SwitchoverFacts {
  readonly cluster: SwitchoverClusterFacts;
  readonly backends: readonly SwitchoverBackend[];
  readonly primaryId: number | null;
  /** Who should take over; null when nobody can. */
  readonly targetId: number | null;
  readonly primary: Looked<PrimaryFacts> | null;
  readonly target: Looked<TargetFacts> | null;
  readonly commands: SwitchoverCommandFacts;
  readonly drainTimeoutMs: number;
}

export type SwitchoverBackend = Pick<
  BackendConfig,
  "id" | "hostname" | "port" | "applicationName"
> &
  Pick<BackendStatus, "state" | "quarantined">;

/** What a server said, or why it said nothing. */
export type Looked<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };

export interface SwitchoverClusterFacts {
  /** One primary and its standbys. */
  readonly isStreaming: boolean;
  /** Null when a leader is known and a majority stands behind it. */
  readonly leaderProblem: string | null;
  /** In words: `node 0 leads, with a quorum`. */
  readonly leader: string;
  /** The failover that runs, in words. */
  readonly intent: string | null;
  /** Servers that have not followed the last new primary yet. */
  readonly followingIds: readonly number[];
  /** The server that is copied from the primary, by online recovery. */
  readonly recoveringId: number | null;
}

export interface PrimaryFacts {
  readonly isInRecovery: boolean;
  readonly identity: ServerIdentity | null;
  /** Written so far. */
  readonly walLsn: string | null;
  readonly senders: readonly SenderFacts[];
  readonly synchronousStandbyNames: string;
  /** It uses replication slots for its standbys. */
  readonly usesSlots: boolean;
  /** The user that asks sees what others do. */
  readonly seesActivity: boolean;
  /** Transactions that are open now, and the age of the oldest. */
  readonly openTransactions: number;
  readonly oldestTransactionMs: number;
}

/** A row of pg_stat_replication. */
export interface SenderFacts {
  readonly applicationName: string;
  readonly state: string;
  readonly syncState: string;
}

export interface TargetFacts {
  readonly isInRecovery: boolean;
  readonly identity: ServerIdentity | null;
  readonly receiver: {
    readonly status: string;
    readonly host: string;
    readonly port: number | null;
  } | null;
  readonly receivedLsn: string | null;
  readonly replayedLsn: string | null;
  readonly isReplayPaused: boolean;
  readonly applyDelayMs: number;
  readonly walSendersMax: number;
  readonly walSendersUsed: number;
  readonly slotsMax: number;
  readonly slotNames: readonly string[];
  readonly isReadyToSend: boolean;
}

export interface SwitchoverCommandFacts {
  readonly hasFailoverCommand: boolean;
  /** What keeps its program from being started; null as far as that can be told. */
  readonly failoverProblem: string | null;
  readonly hasFollowCommand: boolean;
  readonly followProblem: string | null;
  readonly demote: DemoteFacts;
}

export interface DemoteFacts {
  readonly isSet: boolean;
  /** Its text says with `%a` what it is asked for, so it can be tried, and can start the server. */
  readonly saysWhat: boolean;
  /** What came of trying it; null where that was not possible. */
  readonly tried: Looked<null> | null;
}
