/** What servers say when they are asked; a test changes what it is about. */
import type { ReplicationAnswer, WalSender } from "../../../../../src/backend/index.ts";

export const OURS = "7000000000000000001";

export function primaryAnswer(id: number, own: Partial<ReplicationAnswer> = {}): ReplicationAnswer {
  return {
    id,
    askedAtMs: 0,
    isInRecovery: false,
    walLsn: "1/10",
    receivedLsn: null,
    sinceReplayedMs: null,
    identity: { systemIdentifier: OURS, timeline: 1 },
    senders: [],
    receiver: null,
    synchronousStandbyNames: "",
    ...own,
  };
}

/** @param source the id of the server that it streams from; null when it does not stream. */
export function standbyAnswer(
  id: number,
  source: number | null,
  own: Partial<ReplicationAnswer> = {},
): ReplicationAnswer {
  return {
    ...primaryAnswer(id),
    isInRecovery: true,
    receivedLsn: "1/10",
    sinceReplayedMs: 0,
    receiver: source === null ? null : { status: "streaming", host: `db${source}`, port: 5432 },
    ...own,
  };
}

export function sender(applicationName: string, own: Partial<WalSender> = {}): WalSender {
  return { applicationName, state: "streaming", syncState: "async", replayLagMs: null, ...own };
}

export function serversOf(count: number): {
  id: number;
  hostname: string;
  port: number;
  applicationName: string;
  alwaysPrimary: boolean;
}[] {
  return Array.from({ length: count }, (_, id) => ({
    id,
    hostname: `db${id}`,
    port: 5432,
    applicationName: `server${id}`,
    alwaysPrimary: false,
  }));
}
