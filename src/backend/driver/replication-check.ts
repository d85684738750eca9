/** The streaming replication check (`sr_check_*`): role, delay and replication state of each server. */
import type { Ms } from "../../base/index.ts";
import {
  compareReplication,
  type ReplicationAnswer,
  type ReplicationFacts,
  type WalSender,
} from "../core/replication-delay/index.ts";
import {
  withServerSession,
  type Ask,
  type ServerAddress,
  type ServerLogin,
} from "./server-session.ts";

export interface ReplicationCheckOptions {
  readonly servers: readonly (ServerAddress & {
    readonly id: number;
    readonly applicationName: string;
  })[];
  readonly login: ServerLogin;
  readonly primaryId: number | null;
  readonly connectTimeoutMs: Ms;
  readonly timeoutMs: Ms;
}

/** Servers that gave no answer are missing in the result. */
export async function checkReplication(
  options: ReplicationCheckOptions,
): Promise<ReadonlyMap<number, ReplicationFacts>> {
  const answers = await Promise.all(options.servers.map((server) => askServer(server, options)));
  const names = new Map(options.servers.map((server) => [server.id, server.applicationName]));
  return compareReplication(
    answers.filter((answer) => answer !== null),
    options.primaryId,
    names,
  );
}

async function askServer(
  server: ServerAddress & { readonly id: number },
  { login, connectTimeoutMs, timeoutMs }: ReplicationCheckOptions,
): Promise<ReplicationAnswer | null> {
  const { hostname, port, id } = server;
  const outcome = await withServerSession(
    { hostname, port, ...login, connectTimeoutMs, timeoutMs },
    (ask) => askReplication(ask, id),
  );
  return outcome.ok ? outcome.value : null;
}

const POSITION_SQL = `
  SELECT pg_catalog.pg_is_in_recovery(),
    CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
      ELSE pg_catalog.pg_current_wal_lsn() END`;
/** State and sync state are null for a user without the rights of pg_monitor. */
const SENDERS_SQL = `
  SELECT application_name, state, sync_state,
    (extract(epoch FROM replay_lag) * 1000)::bigint
  FROM pg_catalog.pg_stat_replication LIMIT 200`;

async function askReplication(ask: Ask, id: number): Promise<ReplicationAnswer> {
  const [position] = await ask(POSITION_SQL);
  const isInRecovery = position?.[0] === "t";
  const senders = isInRecovery ? [] : (await ask(SENDERS_SQL)).map(readSender);
  return { id, isInRecovery, walLsn: position?.[1] ?? null, senders };
}

function readSender(row: readonly (string | null)[]): WalSender {
  const [applicationName, state, syncState, replayLag] = row;
  return {
    applicationName: applicationName ?? "",
    state: state ?? "",
    syncState: syncState ?? "",
    replayLagMs: replayLag === null || replayLag === undefined ? null : Number(replayLag),
  };
}
