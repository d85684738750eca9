/** Asks standbys how far they are, when one of them has to take over. */
import type { Ms } from "../../base/index.ts";
import type { ReplicationAnswer } from "../core/replication-delay/index.ts";
import { askReplication } from "./replication-check.ts";
import {
  withServerSession,
  type Ask,
  type ServerAddress,
  type ServerLogin,
} from "./server-session.ts";

export interface CandidateSearchOptions {
  readonly servers: readonly (ServerAddress & { readonly id: number })[];
  /** `sr_check_user` and its kin. */
  readonly login: ServerLogin;
  readonly connectTimeoutMs: Ms;
  /** Told after each answer: all that have come so far. */
  readonly onAnswers: (answers: readonly ReplicationAnswer[], isOver: boolean) => void;
}

/** A server that has not answered by then is asked again with all the others. */
const ANSWER_MS_MAX: Ms = 1000;

/** Changes nothing anywhere. Resolves when nobody answers any more. */
export async function askCandidates(options: CandidateSearchOptions): Promise<void> {
  const { servers, login, connectTimeoutMs, onAnswers } = options;
  const answers: ReplicationAnswer[] = [];
  let leftCount = servers.length;
  await Promise.all(
    servers.map(async ({ id, hostname, port }) => {
      const session = { hostname, port, ...login, connectTimeoutMs, timeoutMs: ANSWER_MS_MAX };
      const outcome = await withServerSession(session, (ask) => askPosition(ask, id));
      leftCount -= 1;
      if (outcome.ok) answers.push(outcome.value);
      onAnswers([...answers], leftCount === 0);
    }),
  );
  if (servers.length === 0) onAnswers([], true);
}

/**
 * The control file of a standby learns of a new timeline long after its WAL, and the receiver that
 * would tell has ended with its primary. So the files are looked at, where we may.
 */
const TIMELINE_SQL = `
  SELECT pg_catalog.max(pg_catalog.substr(name, 1, 8)) FROM pg_catalog.pg_ls_waldir()
  WHERE name ~ '^[0-9A-F]{24}$'`;

/** Of a server that was just promoted, too: there they stay as they were at the end of its recovery. */
const END_SQL = "SELECT pg_catalog.pg_last_wal_replay_lsn(), pg_catalog.pg_last_wal_receive_lsn()";

async function askPosition(ask: Ask, id: number): Promise<ReplicationAnswer> {
  const told = await askReplication(ask, id);
  const [ends] = await ask(END_SQL);
  const answer = { ...told, walLsn: ends?.[0] ?? null, receivedLsn: ends?.[1] ?? null };
  const { identity } = answer;
  if (identity === null || !answer.isInRecovery) return answer;
  const timeline = await ask(TIMELINE_SQL).then(
    ([row]) => Number.parseInt(row?.[0] ?? "0", 16),
    () => 0,
  );
  const { systemIdentifier, timeline: known } = identity;
  return { ...answer, identity: { systemIdentifier, timeline: Math.max(known, timeline) } };
}
