/** Roles and delays of the backends, from what each of them says of itself. */
import { parseLsn } from "./lsn.ts";
import type { ReplicationAnswer, WalSender } from "./replication-answer.ts";
import { unreplayedForMs, type WrittenPositions } from "./written-positions.ts";

export interface ReplicationFacts {
  readonly pgRole: "primary" | "standby";
  /** Bytes; 0 for a primary and where either side is not known. */
  readonly replicationDelayBytes: number;
  /** Milliseconds; 0 for a primary and where it is not known. */
  readonly replicationDelayMs: number;
  readonly replicationState: string;
  readonly replicationSyncState: string;
  readonly timeline: number | null;
  readonly systemIdentifier: string | null;
  /** Written by a primary, replayed by a standby. */
  readonly walLsn: string | null;
  readonly receivedLsn: string | null;
}

export interface ReplicationLook {
  readonly answers: readonly ReplicationAnswer[];
  readonly primaryId: number | null;
  /**
   * By backend id: `backend_application_nameN`, which finds a standby's row in the primary's
   * pg_stat_replication.
   */
  readonly applicationNames: ReadonlyMap<number, string>;
  /** What was known of the primary's progress, this look included. */
  readonly written: WrittenPositions;
}

/**
 * Compares every backend that answered with the primary.
 *
 * Source: Pgpool-II compares the primary's current position with what the standby has replayed; as
 * a time it takes `replay_lag` of pg_stat_replication. That is told by the standby's last report,
 * and by none when its receiver has stopped, so here the delay is at least the time for which we
 * know a position that the standby has not replayed.
 */
export function compareReplication(look: ReplicationLook): ReadonlyMap<number, ReplicationFacts> {
  const { answers, primaryId, applicationNames } = look;
  const primary = answers.find(({ id }) => id === primaryId) ?? null;
  return new Map(
    answers.map((answer) => {
      const name = applicationNames.get(answer.id) ?? "";
      const isFollower = answer.isInRecovery && answer.id !== primaryId;
      const sender = isFollower
        ? primary?.senders.find(({ applicationName }) => name !== "" && applicationName === name)
        : undefined;
      const bytes = isFollower ? delayBytes(primary, answer) : 0;
      const facts: ReplicationFacts = {
        pgRole: answer.isInRecovery ? "standby" : "primary",
        replicationDelayBytes: bytes,
        replicationDelayMs: isFollower ? delayMs(answer, sender, bytes, look) : 0,
        replicationState: sender?.state ?? "",
        replicationSyncState: sender?.syncState ?? "",
        timeline: answer.identity?.timeline ?? null,
        systemIdentifier: answer.identity?.systemIdentifier ?? null,
        walLsn: answer.walLsn,
        receivedLsn: answer.receivedLsn,
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

function delayMs(
  standby: ReplicationAnswer,
  sender: WalSender | undefined,
  bytes: number,
  { written }: ReplicationLook,
): number {
  const told = sender?.replayLagMs ?? 0;
  if (bytes === 0) return told;
  const known = unreplayedForMs(written, parseLsn(standby.walLsn), standby.askedAtMs);
  // Further behind than we can remember; a standby that streams tells its primary.
  const guessed = sender === undefined ? (standby.sinceReplayedMs ?? 0) : 0;
  return Math.round(Math.max(told, known ?? guessed, 0));
}
