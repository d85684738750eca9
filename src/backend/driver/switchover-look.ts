/** Looks at the two servers of a switchover, before it and without changing anything. */
import type { Ms, Result } from "../../base/index.ts";
import type { Looked, PrimaryFacts, SenderFacts, TargetFacts } from "../core/switchover/index.ts";
import { askRole } from "./probe.ts";
import {
  withServerSession,
  type Ask,
  type ProbeFailure,
  type ServerAddress,
  type ServerLogin,
} from "./server-session.ts";

export interface SwitchoverLookOptions {
  readonly primary: ServerAddress | null;
  readonly target: ServerAddress | null;
  /** `sr_check_user` and its kin. */
  readonly login: ServerLogin;
  readonly connectTimeoutMs: Ms;
}

/** Each server has so long for all its answers. */
const LOOK_MS_MAX: Ms = 4000;

/** Null for a server that is not known. */
export async function lookBeforeSwitchover(options: SwitchoverLookOptions): Promise<{
  readonly primary: Looked<PrimaryFacts> | null;
  readonly target: Looked<TargetFacts> | null;
}> {
  const look = async <T>(
    server: ServerAddress | null,
    work: (ask: Ask) => Promise<T>,
  ): Promise<Looked<T> | null> => {
    if (server === null) return null;
    const { hostname, port } = server;
    const { login, connectTimeoutMs } = options;
    const session = { hostname, port, ...login, connectTimeoutMs, timeoutMs: LOOK_MS_MAX };
    return toLooked(await withServerSession(session, work));
  };
  const [primary, target] = await Promise.all([
    look(options.primary, askPrimary),
    look(options.target, askTarget),
  ]);
  return { primary, target };
}

function toLooked<T>(answer: Result<T, ProbeFailure>): Looked<T> {
  return answer.ok ? answer : { ok: false, error: answer.error.message };
}

const SEES_SQL = `
  SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'),
    pg_catalog.current_setting('synchronous_standby_names'),
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots)`;
/** Clients only, and not those who look after the server for us. */
export const RUNNING_SQL = `
  FROM pg_catalog.pg_stat_activity
  WHERE backend_type = 'client backend' AND state <> 'idle'
    AND pid <> pg_catalog.pg_backend_pid() AND application_name <> 'pgquorum'`;
const OPEN_SQL = `
  SELECT pg_catalog.count(*), coalesce(pg_catalog.max(
    pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - xact_start)), 0) ${RUNNING_SQL}`;
const SENDERS_SQL = `
  SELECT application_name, state, sync_state FROM pg_catalog.pg_stat_replication LIMIT 200`;

async function askPrimary(ask: Ask): Promise<PrimaryFacts> {
  const { isInRecovery, identity, walLsn } = await askRole(ask);
  const [sees] = await ask(SEES_SQL);
  const [open] = await ask(OPEN_SQL);
  const senders = await ask(SENDERS_SQL);
  return {
    isInRecovery: isInRecovery === true,
    identity,
    walLsn,
    senders: senders.map(readSender),
    synchronousStandbyNames: sees?.[1] ?? "",
    usesSlots: Number(sees?.[2]) > 0,
    seesActivity: sees?.[0] === "t",
    openTransactions: Number(open?.[0]),
    oldestTransactionMs: Math.round(Number(open?.[1]) * 1000),
  };
}

function readSender([applicationName, state, syncState]: readonly (string | null)[]): SenderFacts {
  return {
    applicationName: applicationName ?? "",
    state: state ?? "",
    syncState: syncState ?? "",
  };
}

const RECEIVER_SQL = `
  SELECT status, sender_host, sender_port FROM pg_catalog.pg_stat_wal_receiver LIMIT 1`;
const POSITIONS_SQL = `
  SELECT pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn(),
    CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_is_wal_replay_paused() END`;
const ROOM_SQL = `
  SELECT (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'recovery_min_apply_delay'),
    pg_catalog.current_setting('max_wal_senders'),
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_replication),
    pg_catalog.current_setting('max_replication_slots'),
    pg_catalog.current_setting('wal_level')`;
const SLOTS_SQL = "SELECT slot_name FROM pg_catalog.pg_replication_slots LIMIT 1000";

async function askTarget(ask: Ask): Promise<TargetFacts> {
  const { isInRecovery, identity } = await askRole(ask);
  const [receiver] = await ask(RECEIVER_SQL);
  const [positions] = await ask(POSITIONS_SQL);
  const [room] = await ask(ROOM_SQL);
  const slots = await ask(SLOTS_SQL);
  return {
    isInRecovery: isInRecovery === true,
    identity,
    receiver:
      receiver === undefined
        ? null
        : {
            status: receiver[0] ?? "not known",
            host: receiver[1] ?? "?",
            port: receiver[2] == null ? null : Number(receiver[2]),
          },
    receivedLsn: positions?.[0] ?? null,
    replayedLsn: positions?.[1] ?? null,
    isReplayPaused: positions?.[2] === "t",
    applyDelayMs: Number(room?.[0] ?? 0),
    walSendersMax: Number(room?.[1]),
    walSendersUsed: Number(room?.[2]),
    slotsMax: Number(room?.[3]),
    slotNames: slots.map(([name]) => name ?? ""),
    isReadyToSend: room?.[4] !== "minimal",
  };
}
