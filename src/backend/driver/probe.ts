/** Asks one server whether it lives, and who it is. */
import { succeed, type Result } from "../../base/index.ts";
import type { ServerIdentity } from "../core/status/index.ts";
import {
  openServerSession,
  withServerSession,
  type Ask,
  type ProbeFailure,
  type ServerSession,
  type SessionOptions,
} from "./server-session.ts";

export interface ProbeOptions extends SessionOptions {
  /** `login`: start-up and authentication only, as the health check does. */
  readonly ask: "login" | "role";
}

export interface ProbeAnswer {
  /** This and the rest are null after a mere login. */
  readonly isInRecovery: boolean | null;
  /** Written by a primary, replayed by a standby. */
  readonly walLsn: string | null;
  /** Null also where the user may not know. */
  readonly identity: ServerIdentity | null;
}

/**
 * One attempt. An empty database means `postgres`, and `template1` where that does not exist.
 *
 * Errors: what went wrong, sorted by cause; by the deadline at the latest.
 */
export async function probeBackend(
  options: ProbeOptions,
): Promise<Result<ProbeAnswer, ProbeFailure>> {
  const talk = options.ask === "login" ? askNothing : askRole;
  return await inSomeDatabase(options, (own) => withServerSession(own, talk));
}

/**
 * One attempt to log in, as the health check does it. The session stays open, but not one in
 * template1, where it would keep others from creating databases: then the value is null.
 *
 * Errors: as `probeBackend`.
 */
export async function logIn(
  options: SessionOptions,
  onLost: (failure: ProbeFailure) => void,
): Promise<Result<ServerSession | null, ProbeFailure>> {
  return await inSomeDatabase<ServerSession | null>(options, async (own) => {
    const opened = await openServerSession(own, onLost);
    if (!opened.ok || own.database !== TEMPLATE) return opened;
    await opened.value.close();
    return succeed(null);
  });
}

const TEMPLATE = "template1";

async function inSomeDatabase<T>(
  options: SessionOptions,
  work: (options: SessionOptions) => Promise<Result<T, ProbeFailure>>,
): Promise<Result<T, ProbeFailure>> {
  const outcome = await work(options);
  const isDatabaseMissing = !outcome.ok && outcome.error.sqlstate === "3D000";
  if (!isDatabaseMissing || options.database !== "") return outcome;
  return await work({ ...options, database: TEMPLATE });
}

function askNothing(): Promise<ProbeAnswer> {
  return Promise.resolve({ isInRecovery: null, walLsn: null, identity: null });
}

/**
 * System identifier and timeline. That of a primary is the one of its next WAL file, that of a
 * standby the one that it receives: the control file may lag behind.
 */
export const IDENTITY_COLUMNS = `
    (SELECT system_identifier FROM pg_catalog.pg_control_system()),
    CASE WHEN pg_catalog.pg_is_in_recovery()
      THEN GREATEST((SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()),
        (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver))
      ELSE ('x' || pg_catalog.substr(
        pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::pg_catalog.bit(32)::pg_catalog.int4 END`;
const ROLE_SQL = `
  SELECT pg_catalog.pg_is_in_recovery(),
    CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
      ELSE pg_catalog.pg_current_wal_lsn() END,
    ${IDENTITY_COLUMNS}`;
const PLAIN_ROLE_SQL = "SELECT pg_catalog.pg_is_in_recovery()";

/** Rights that were taken away, and functions that the server does not have. */
const REFUSED_SQLSTATES = new Set(["42501", "42883", "42P01"]);

export async function askRole(ask: Ask): Promise<ProbeAnswer> {
  const [row = []] = await askAsAllowed(ask, ROLE_SQL, PLAIN_ROLE_SQL);
  const [isInRecovery, walLsn, systemIdentifier, timeline] = row;
  const identity = readIdentity(systemIdentifier, timeline);
  return { isInRecovery: isInRecovery === "t", walLsn: walLsn ?? null, identity };
}

/** Asks for all; where that is refused for want of rights or functions, for what anybody may. */
export async function askAsAllowed(ask: Ask, text: string, plainText: string): ReturnType<Ask> {
  try {
    return await ask(text);
  } catch (error) {
    if (!REFUSED_SQLSTATES.has(String((error as { code?: unknown }).code))) throw error;
    return await ask(plainText);
  }
}

export function readIdentity(
  systemIdentifier: string | null | undefined,
  timeline: string | null | undefined,
): ServerIdentity | null {
  return typeof systemIdentifier === "string" && typeof timeline === "string"
    ? { systemIdentifier, timeline: Number(timeline) }
    : null;
}
