/** What a server says of itself and of its replication when it is asked. */
import type { Ms } from "../../../base/index.ts";
import type { ServerIdentity } from "../status/index.ts";

export interface ReplicationAnswer {
  readonly id: number;
  /** Monotonic: what it says was true then or later. */
  readonly askedAtMs: Ms;
  readonly isInRecovery: boolean;
  /** The primary's write position, or what a standby has replayed; null when it did not say. */
  readonly walLsn: string | null;
  /** What a standby has received and flushed; null on a primary, and before anything was. */
  readonly receivedLsn: string | null;
  /** Since the last transaction that a standby has replayed was committed; null before the first. */
  readonly sinceReplayedMs: Ms | null;
  /** Null when the user that asks may not know. */
  readonly identity: ServerIdentity | null;
  /** Rows of pg_stat_replication; empty on a standby without standbys of its own. */
  readonly senders: readonly WalSender[];
  /** The row of pg_stat_wal_receiver; null on a primary, and while it receives nothing. */
  readonly receiver: WalReceiver | null;
  /** The parameter, as it stands; null when it did not say. */
  readonly synchronousStandbyNames: string | null;
}

export interface WalSender {
  readonly applicationName: string;
  readonly state: string;
  readonly syncState: string;
  /** Milliseconds; null when it is not told, or nothing was written for a while. */
  readonly replayLagMs: Ms | null;
}

export interface WalReceiver {
  /** `streaming` and its kin. */
  readonly status: string;
  /** Where it receives from, as its server's configuration has it. */
  readonly host: string;
  readonly port: number | null;
}
