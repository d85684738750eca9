/**
 * The streaming replication check (`sr_check_*`): asks each server, by a connection that is kept,
 * what it is, how far it is and who replicates from whom. No server holds up the others.
 */
import { assert, type Ms } from "../../base/index.ts";
import { monotonicNowMs } from "../../os/index.ts";
import type { ReplicationAnswer, WalReceiver, WalSender } from "../core/replication-delay/index.ts";
import { askAsAllowed, IDENTITY_COLUMNS, readIdentity } from "./probe.ts";
import {
  openServerSession,
  withServerSession,
  type Ask,
  type ServerAddress,
  type ProbeFailure,
  type ServerLogin,
  type ServerSession,
} from "./server-session.ts";

export interface ReplicationCheckOptions {
  readonly servers: readonly (ServerAddress & { readonly id: number })[];
  readonly login: ServerLogin;
  readonly connectTimeoutMs: Ms;
  readonly periodMs: Ms;
  /** A server that has not answered by then is left, its connection too. */
  readonly timeoutMs: Ms;
  /** A look begins. */
  readonly onBegin: () => void;
  /**
   * The newest answers of all that answered when they were asked last. Told when all have, or
   * after `SLOW_MS`, and then again for each server that comes later.
   */
  readonly onLook: (answers: readonly ReplicationAnswer[]) => void;
  /** A connection that waits for the next look was lost. */
  readonly onLost?: (backendId: number, failure: ProbeFailure) => void;
}

export interface ReplicationChecker {
  /** Asks again after so long, besides the periodic looks; once, however often it is asked for. */
  lookSoon(afterMs: Ms): void;
  /** Ends the connection to a server that is to stop: a smart shutdown waits for it. */
  letGo(id: number): void;
  stop(): void;
}

/** The others are not made to wait for longer than this. */
const SLOW_MS: Ms = 1000;

export function startReplicationCheck(options: ReplicationCheckOptions): ReplicationChecker {
  return new Checker(options);
}

class Checker implements ReplicationChecker {
  readonly #options: ReplicationCheckOptions;
  readonly #lines: readonly ServerLine[];
  readonly #timer: NodeJS.Timeout;
  #soon: NodeJS.Timeout | null = null;
  #isStopped = false;

  constructor(options: ReplicationCheckOptions) {
    this.#options = options;
    this.#lines = options.servers.map((server) => new ServerLine(server, options));
    this.#timer = setInterval(() => void this.#look(), options.periodMs);
    void this.#look();
  }

  lookSoon(afterMs: Ms): void {
    if (this.#isStopped) return;
    this.#soon ??= setTimeout(() => {
      this.#soon = null;
      void this.#look();
    }, afterMs);
  }

  letGo(id: number): void {
    for (const line of this.#lines) if (line.id === id) line.letGo();
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
    if (this.#soon !== null) clearTimeout(this.#soon);
    for (const line of this.#lines) line.close();
  }

  async #look(): Promise<void> {
    this.#options.onBegin();
    let isTold = false;
    const tell = (): void => {
      if (this.#isStopped) return;
      isTold = true;
      const answers = this.#lines.map(({ answer }) => answer);
      this.#options.onLook(answers.filter((answer) => answer !== null));
    };
    const idle = this.#lines.filter(({ isAsking }) => !isAsking);
    // What the others said the last time is too old by now.
    for (const line of this.#lines) if (line.isAsking) line.answer = null;
    let leftCount = idle.length;
    const slow = setTimeout(tell, SLOW_MS);
    await Promise.all(
      idle.map(async (line) => {
        await line.ask();
        leftCount -= 1;
        if (isTold || leftCount === 0) tell();
      }),
    );
    clearTimeout(slow);
  }
}

/** The connection to one server, and what it said last. */
class ServerLine {
  answer: ReplicationAnswer | null = null;
  isAsking = false;
  readonly id: number;
  readonly #options: ReplicationCheckOptions;
  readonly #server: ServerAddress;
  #session: ServerSession | null = null;
  #isClosed = false;

  constructor(server: ServerAddress & { readonly id: number }, options: ReplicationCheckOptions) {
    this.id = server.id;
    this.#server = server;
    this.#options = options;
  }

  async ask(): Promise<void> {
    assert(!this.isAsking, "a server is asked once at a time");
    this.isAsking = true;
    const answer = (await this.#askKept()) ?? (await this.#askAnew());
    this.isAsking = false;
    this.answer = this.#isClosed ? null : answer;
  }

  letGo(): void {
    void this.#session?.close();
  }

  close(): void {
    this.#isClosed = true;
    void this.#session?.close();
  }

  /** A connection that has ended says nothing of the server. */
  async #askKept(): Promise<ReplicationAnswer | null> {
    const session = this.#session;
    if (session === null || !session.isOpen) return null;
    const outcome = await session.ask((ask) => askReplication(ask, this.id), this.#timeoutMs);
    return outcome.ok ? outcome.value : null;
  }

  async #askAnew(): Promise<ReplicationAnswer | null> {
    const { login, connectTimeoutMs } = this.#options;
    await this.#session?.close();
    this.#session = null;
    const address = { hostname: this.#server.hostname, port: this.#server.port };
    const timeoutMs = this.#timeoutMs;
    const options = { ...address, ...login, connectTimeoutMs, timeoutMs };
    // A database that others may want to copy must not have sessions that stay.
    if (login.database === "template1") {
      const outcome = await withServerSession(options, (ask) => askReplication(ask, this.id));
      return outcome.ok ? outcome.value : null;
    }
    const opened = await openServerSession(options, (failure) => {
      this.#options.onLost?.(this.id, failure);
    });
    if (!opened.ok) return null;
    if (this.#isClosed) {
      await opened.value.close();
      return null;
    }
    this.#session = opened.value;
    return await this.#askKept();
  }

  get #timeoutMs(): Ms {
    return this.#options.timeoutMs;
  }
}

/** Whatever a user without rights may ask, without the columns that need some. */
function answerSql(identityColumns: string): string {
  return `
  SELECT pg_catalog.pg_is_in_recovery(),
    CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
      ELSE pg_catalog.pg_current_wal_lsn() END,
    CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn() END,
    pg_catalog.round(1000 * extract(epoch FROM
      pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())),
    pg_catalog.current_setting('synchronous_standby_names'),
    (SELECT pg_catalog.to_jsonb(receiver) FROM pg_catalog.pg_stat_wal_receiver receiver LIMIT 1),
    ${identityColumns}`;
}

const ANSWER_SQL = answerSql(IDENTITY_COLUMNS);
const PLAIN_ANSWER_SQL = answerSql("NULL, NULL");
/** State and sync state are null for a user without the rights of pg_monitor. */
const SENDERS_SQL = `
  SELECT application_name, state, sync_state,
    (extract(epoch FROM replay_lag) * 1000)::bigint
  FROM pg_catalog.pg_stat_replication LIMIT 200`;

/** Standbys may have standbys of their own. */
export async function askReplication(ask: Ask, id: number): Promise<ReplicationAnswer> {
  const askedAtMs = monotonicNowMs();
  const [row = []] = await askAsAllowed(ask, ANSWER_SQL, PLAIN_ANSWER_SQL);
  const [recovery, walLsn, receivedLsn, sinceReplayed, names, receiver, system, timeline] = row;
  return {
    id,
    askedAtMs,
    isInRecovery: recovery === "t",
    walLsn: walLsn ?? null,
    receivedLsn: receivedLsn ?? null,
    sinceReplayedMs: readNumber(sinceReplayed),
    identity: readIdentity(system, timeline),
    senders: (await ask(SENDERS_SQL)).map(readSender),
    receiver: readReceiver(receiver),
    synchronousStandbyNames: names ?? null,
  };
}

function readSender(row: readonly (string | null)[]): WalSender {
  const [applicationName, state, syncState, replayLag] = row;
  return {
    applicationName: applicationName ?? "",
    state: state ?? "",
    syncState: syncState ?? "",
    replayLagMs: readNumber(replayLag),
  };
}

function readNumber(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}

/** Old servers have no column for the host; a user without rights gets nulls. */
function readReceiver(json: string | null | undefined): WalReceiver | null {
  if (json === null || json === undefined) return null;
  const columns = new Map(Object.entries(JSON.parse(json) as object));
  const text = (name: string): string => {
    const value: unknown = columns.get(name);
    return typeof value === "string" ? value : "";
  };
  const port: unknown = columns.get("sender_port");
  return {
    status: text("status"),
    host: text("sender_host"),
    port: typeof port === "number" ? port : null,
  };
}
