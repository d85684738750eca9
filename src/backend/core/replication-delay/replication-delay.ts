/** Roles and delays of the backends, from what each of them says of itself. */

export interface ReplicationAnswer {
  readonly id: number;
  readonly isInRecovery: boolean;
  /** The primary's write position, or what a standby has replayed; null when it did not say. */
  readonly walLsn: string | null;
  /** Rows of pg_stat_replication; empty on a standby without standbys of its own. */
  readonly senders: readonly WalSender[];
}

export interface WalSender {
  readonly applicationName: string;
  readonly state: string;
  readonly syncState: string;
  /** Milliseconds; null when it is not told, or nothing was written for a while. */
  readonly replayLagMs: number | null;
}

export interface ReplicationFacts {
  readonly pgRole: "primary" | "standby";
  /** Bytes; 0 for a primary and where either side is not known. */
  readonly replicationDelayBytes: number;
  /** Milliseconds, as the primary measures them; 0 where that is not known. */
  readonly replicationDelayMs: number;
  readonly replicationState: string;
  readonly replicationSyncState: string;
}

/**
 * Compares every backend that answered with the primary.
 *
 * @param applicationNames by backend id: `backend_application_nameN`, which finds a standby's row
 *   in the primary's pg_stat_replication.
 * Source: Pgpool-II compares the primary's current position with what the standby has replayed.
 */
export function compareReplication(
  answers: readonly ReplicationAnswer[],
  primaryId: number | null,
  applicationNames: ReadonlyMap<number, string>,
): ReadonlyMap<number, ReplicationFacts> {
  const primary = answers.find(({ id }) => id === primaryId) ?? null;
  return new Map(
    answers.map((answer) => {
      const name = applicationNames.get(answer.id) ?? "";
      const isFollower = answer.isInRecovery && answer.id !== primaryId;
      const sender = isFollower
        ? primary?.senders.find(({ applicationName }) => name !== "" && applicationName === name)
        : undefined;
      const facts: ReplicationFacts = {
        pgRole: answer.isInRecovery ? "standby" : "primary",
        replicationDelayBytes: isFollower ? delayBytes(primary, answer) : 0,
        replicationDelayMs: sender?.replayLagMs ?? 0,
        replicationState: sender?.state ?? "",
        replicationSyncState: sender?.syncState ?? "",
      };
      return [answer.id, facts];
    }),
  );
}

/** A standby that was asked later may be ahead of the answer of its primary: that is no delay. */
function delayBytes(primary: ReplicationAnswer | null, standby: ReplicationAnswer): number {
  const written = parseLsn(primary?.walLsn ?? null);
  const replayed = parseLsn(standby.walLsn);
  if (written === null || replayed === null) return 0;
  return Number(written > replayed ? written - replayed : 0n);
}

/** `16/B374D848` as a byte position; null when it is none. */
export function parseLsn(text: string | null): bigint | null {
  const parts = text === null ? null : /^([\dA-F]{1,8})\/([\dA-F]{1,8})$/iu.exec(text);
  if (parts === null) return null;
  return (BigInt(`0x${parts[1] ?? ""}`) << 32n) + BigInt(`0x${parts[2] ?? ""}`);
}
