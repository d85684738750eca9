/**
 * A connection of our own to a backend: start-up, authentication, a few questions; gone again
 * (`withServerSession`) or kept for more (`openServerSession`). No question outlasts its deadline
 * whatever the server does, and no socket is left behind.
 */
import { isIP, Socket } from "node:net";
import pg from "pg";
import { assert, fail, succeed, type Ms, type Result, type Secret } from "../../base/index.ts";
import { lookupHost, monotonicNowMs } from "../../os/index.ts";
import { readLastWords } from "../../wire/postgres/index.ts";
import type { CheckFailure } from "../core/health/index.ts";

export interface ServerAddress {
  /** Host name or address; a directory of socket files when it begins with `/` or is empty. */
  readonly hostname: string;
  readonly port: number;
}

export interface ServerLogin {
  /** Empty means `postgres`. */
  readonly user: string;
  readonly password: Secret;
  /** Empty means `postgres`. */
  readonly database: string;
}

export interface SessionOptions extends ServerAddress, ServerLogin {
  /** For the connection itself, its name look-up included; 0 = only `timeoutMs`. */
  readonly connectTimeoutMs: Ms;
  /** For all of it; 0 = `TIMEOUT_MS_MAX`. */
  readonly timeoutMs: Ms;
}

export interface ProbeFailure {
  readonly cause: CheckFailure;
  readonly message: string;
  /** Of an error that the server reported itself. */
  readonly sqlstate: string | null;
}

/** Where PostgreSQL's own clients look when they are told no host. */
const SOCKET_DIRECTORY = "/var/run/postgresql";
/** Nothing waits longer, not even where the configuration says "no limit". */
const TIMEOUT_MS_MAX = 600_000;
/** All that a server may say to the questions of one deadline. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** The server is given so long to take our good-bye. */
const GOODBYE_MS = 200;

/** Asks one statement; all values come as text or null. */
export type Ask = (text: string) => Promise<readonly (readonly (string | null)[])[]>;

/** A connection that is kept. Its end is told by `onEnd`, and by every later `ask`. */
export interface ServerSession {
  readonly isOpen: boolean;
  /**
   * Lets `work` ask, one `work` at a time. An error that the server reports leaves the session
   * open; whatever else goes wrong ends it, as does an answer that takes too long.
   *
   * @param timeoutMs for all of it; 0 = `TIMEOUT_MS_MAX`.
   */
  ask<T>(work: (ask: Ask) => Promise<T>, timeoutMs: Ms): Promise<Result<T, ProbeFailure>>;
  close(): Promise<void>;
}

/**
 * Opens a session, lets `work` ask, and closes it. Never rejects for what the server or the
 * network does; `work` may let the errors of `ask` pass through.
 */
export async function withServerSession<T>(
  options: SessionOptions,
  work: (ask: Ask) => Promise<T>,
): Promise<Result<T, ProbeFailure>> {
  const session = new Session(options);
  const outcome = await session.within(options, async (ask) => {
    await session.connect();
    return await work(ask);
  });
  await session.close();
  return outcome;
}

/**
 * Opens a session that stays until it is closed, or until the server or the network ends it.
 *
 * @param onEnd told once, unless we closed it: the server's last words, where it had any.
 */
export async function openServerSession(
  options: SessionOptions,
  onEnd?: (failure: ProbeFailure) => void,
): Promise<Result<ServerSession, ProbeFailure>> {
  const session = new Session(options);
  const opened = await session.within(options, () => session.connect());
  if (opened.ok) {
    session.watch(onEnd);
    return succeed(session);
  }
  await session.close();
  return opened;
}

class Session implements ServerSession {
  readonly #client: pg.Client;
  readonly #socket = namedSocket();
  #isAsking = false;
  #isClosed = false;
  /** What went wrong first while nobody asked. */
  #lastWords: ProbeFailure | null = null;

  constructor(options: SessionOptions) {
    this.#client = makeClient(options, this.#socket);
    // A late error of a connection that has been given up is nobody's concern.
    this.#client.on("error", (error) => {
      this.#lastWords ??= classify(error);
    });
    // The last words of a server that is stopped at once are no error.
    this.#client.on("notice", ({ code, routine, message = "" }) => {
      const failure = { cause: "shutdown" as const, message, sqlstate: code ?? null };
      if (readLastWords(code, routine) === "announced") this.#lastWords ??= failure;
    });
  }

  get isOpen(): boolean {
    return !this.#isClosed && !this.#socket.destroyed && this.#lastWords === null;
  }

  async connect(): Promise<void> {
    await this.#client.connect();
  }

  watch(onEnd: ((failure: ProbeFailure) => void) | undefined): void {
    this.#socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#client.once("end", () => {
      if (!this.#isClosed) onEnd?.(this.#lastWords ?? ENDED);
    });
  }

  async ask<T>(work: (ask: Ask) => Promise<T>, timeoutMs: Ms): Promise<Result<T, ProbeFailure>> {
    assert(!this.#isAsking, "a session is asked by one at a time");
    if (!this.isOpen) return fail(this.#lastWords ?? ENDED);
    this.#isAsking = true;
    const outcome = await this.within({ timeoutMs, connectTimeoutMs: 0 }, work);
    this.#isAsking = false;
    if (!outcome.ok && outcome.error.sqlstate === null) this.#socket.destroy();
    return outcome;
  }

  async within<T>(
    limits: Limits,
    talk: (ask: Ask) => Promise<T>,
  ): Promise<Result<T, ProbeFailure>> {
    const deadline = new Deadline(limits, this.#socket);
    const ask: Ask = async (text) => {
      const { rows } = await this.#client.query<(string | null)[]>({ text, rowMode: "array" });
      return rows;
    };
    try {
      return succeed(await Promise.race([talk(ask), deadline.reached]));
    } catch (error) {
      return fail(error instanceof ServerFault ? error.failure : classify(error));
    } finally {
      deadline.cancel();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await close(this.#client, this.#socket);
  }
}

/** A connection that is silent for so long is looked after by the kernel. */
const KEEP_ALIVE_MS = 10_000;

const ENDED: ProbeFailure = {
  cause: "closed",
  message: "the connection has ended",
  sqlstate: null,
};

/** What this module throws to itself. */
class ServerFault extends Error {
  readonly failure: ProbeFailure;

  constructor(cause: CheckFailure, message: string) {
    super(message);
    this.failure = { cause, message, sqlstate: null };
  }
}

/** Everything is given, so that no PG* variable of our environment has a say. */
function makeClient(options: SessionOptions, socket: Socket): pg.Client {
  return new pg.Client({
    host: options.hostname === "" ? SOCKET_DIRECTORY : options.hostname,
    port: options.port,
    user: options.user === "" ? "postgres" : options.user,
    password: () => options.password.reveal(),
    database: options.database === "" ? "postgres" : options.database,
    ssl: false,
    application_name: "pgquorum",
    stream: () => socket,
    types: { getTypeParser: () => (value: string | null) => value },
  });
}

/** `pg` dials by port and host, or by the path of a socket file. */
function namedSocket(): Socket {
  const socket = new Socket();
  const dial = socket.connect.bind(socket);
  const connect = (where: number | string, host?: string): Socket =>
    typeof where === "number" && host !== undefined
      ? dial({ port: where, host, lookup: lookupHost })
      : dial({ path: String(where) });
  return Object.assign(socket, { connect });
}

interface Limits extends Partial<ServerAddress> {
  readonly connectTimeoutMs: Ms;
  readonly timeoutMs: Ms;
}

/** Rejects `reached` when the time is over, or when the server says too much. */
class Deadline {
  readonly reached: Promise<never>;
  readonly #socket: Socket;
  readonly #timers = new Set<NodeJS.Timeout>();
  #onData: () => void = () => undefined;
  #onLookup: () => void = () => undefined;

  constructor(limits: Limits, socket: Socket) {
    this.#socket = socket;
    const { connectTimeoutMs, hostname, port } = limits;
    const timeoutMs = limits.timeoutMs === 0 ? TIMEOUT_MS_MAX : limits.timeoutMs;
    this.reached = new Promise((_, reject) => {
      const give = (cause: CheckFailure, message: string): void => {
        reject(new ServerFault(cause, message));
        socket.destroy();
      };
      // A name service that hangs says nothing of the server.
      let isResolving = hostname !== undefined && isName(hostname);
      this.#onLookup = () => {
        isResolving = false;
      };
      if (isResolving) socket.on("lookup", this.#onLookup);
      const giveUp = (what: string): void => {
        if (isResolving) give("name-resolution", `no address of ${hostname}: ${what}`);
        else give("timeout", what);
      };
      this.#after(timeoutMs, () => giveUp(`no answer within ${timeoutMs} ms`));
      if (connectTimeoutMs > 0 && connectTimeoutMs < timeoutMs) {
        this.#after(connectTimeoutMs, () => {
          if (!socket.connecting) return;
          giveUp(`no connection to ${hostname}:${port} within ${connectTimeoutMs} ms`);
        });
      }
      const bytesMax = socket.bytesRead + ANSWER_BYTES_MAX;
      this.#onData = () => {
        if (socket.bytesRead > bytesMax) give("other", "the answer is too long");
      };
      socket.on("data", this.#onData);
    });
    this.reached.catch(() => undefined); // Reached after the talk has ended: nobody listens.
  }

  cancel(): void {
    this.#socket.off("data", this.#onData);
    this.#socket.off("lookup", this.#onLookup);
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /**
   * Time in which this process did not run is given back once: an answer may have been waiting
   * all the while, and a node that was frozen must not call its servers dead.
   */
  #after(delayMs: Ms, act: () => void, isExtended = false): void {
    const dueAtMs = monotonicNowMs() + delayMs;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      const lateMs = monotonicNowMs() - dueAtMs;
      if (lateMs > LATE_MS && !isExtended) this.#after(Math.min(lateMs, delayMs), act, true);
      else act();
    }, delayMs);
    this.#timers.add(timer);
  }
}

function isName(hostname: string): boolean {
  return hostname !== "" && !hostname.startsWith("/") && isIP(hostname) === 0;
}

/** A timer this much behind its time means that the process was held up. */
const LATE_MS = 100;

/** A polite end where the server takes one; the socket is gone in any case. */
async function close(client: pg.Client, socket: Socket): Promise<void> {
  if (socket.destroyed || socket.connecting) {
    socket.destroy();
    return;
  }
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, GOODBYE_MS);
  });
  await Promise.race([client.end().catch(() => undefined), tooLong]);
  clearTimeout(timer);
  socket.destroy();
}

/** The server's machine answered that nobody listens there. */
const REFUSED_CODES = new Set(["ECONNREFUSED", "ENOENT"]);
const UNREACHABLE_CODES = new Set(["EHOSTUNREACH", "ENETUNREACH", "EACCES"]);
const CLOSED_CODES = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED"]);
const NAME_CODES = new Set(["ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "EAI_NODATA"]);

function classify(error: unknown): ProbeFailure {
  assertError(error);
  const message = error.message === "" ? firstOf(error) : error.message;
  if (error instanceof pg.DatabaseError) {
    const sqlstate = error.code ?? "XX000";
    return { cause: causeOfSqlstate(sqlstate, error.routine), message, sqlstate };
  }
  const { code } = error as NodeJS.ErrnoException;
  return { cause: causeOfCode(code ?? codeOfFirst(error), message), message, sqlstate: null };
}

function causeOfSqlstate(sqlstate: string, routine: string | undefined): CheckFailure {
  if (sqlstate === "53300") return "too-many-connections";
  if (sqlstate === "57P03") return "not-ready";
  const lastWords = readLastWords(sqlstate, routine);
  if (lastWords !== null) return lastWords === "announced" ? "shutdown" : "closed";
  return sqlstate.startsWith("28") ? "auth" : "other";
}

function causeOfCode(code: string | undefined, message: string): CheckFailure {
  if (code !== undefined && REFUSED_CODES.has(code)) return "refused";
  if (code !== undefined && UNREACHABLE_CODES.has(code)) return "unreachable";
  if (code !== undefined && CLOSED_CODES.has(code)) return "closed";
  if (code !== undefined && NAME_CODES.has(code)) return "name-resolution";
  if (code === "ETIMEDOUT") return "timeout";
  // The client library has no codes for these.
  if (message.startsWith("SASL") || message.includes("password must be")) return "auth";
  return message.includes("terminated") ? "closed" : "other";
}

/** A name with several addresses fails with one error for each. */
function firstOf(error: Error): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : null;
  return first instanceof Error ? first.message : error.name;
}

function codeOfFirst(error: Error): string | undefined {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : null;
  return first instanceof Error ? (first as NodeJS.ErrnoException).code : undefined;
}

function assertError(error: unknown): asserts error is Error {
  if (!(error instanceof Error)) throw error;
}
