/**
 * One short connection of our own to a backend: start-up, authentication, a few questions, gone.
 * It ends by its deadline whatever the server does, and leaves no socket behind.
 */
import { Socket } from "node:net";
import pg from "pg";
import { fail, succeed, type Ms, type Result, type Secret } from "../../base/index.ts";
import { monotonicNowMs } from "../../os/index.ts";
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
/** All that a server may say in one session. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** The server is given so long to take our good-bye. */
const GOODBYE_MS = 200;

/** Asks one statement; all values come as text or null. */
export type Ask = (text: string) => Promise<readonly (readonly (string | null)[])[]>;

/**
 * Opens a session, lets `work` ask, and closes it. Never rejects for what the server or the
 * network does; `work` may let the errors of `ask` pass through.
 */
export async function withServerSession<T>(
  options: SessionOptions,
  work: (ask: Ask) => Promise<T>,
): Promise<Result<T, ProbeFailure>> {
  const socket = new Socket();
  const client = makeClient(options, socket);
  // A late error of a connection that has been given up is nobody's concern.
  client.on("error", () => undefined);
  const deadline = new Deadline(options, socket);
  const talk = async (): Promise<T> => {
    await client.connect();
    const ask: Ask = async (text) => {
      const { rows } = await client.query<(string | null)[]>({ text, rowMode: "array" });
      return rows;
    };
    return await work(ask);
  };
  try {
    const value = await Promise.race([talk(), deadline.reached]);
    return succeed(value);
  } catch (error) {
    if (error instanceof ServerFault) return fail(error.failure);
    return fail(classify(error));
  } finally {
    deadline.cancel();
    await close(client, socket);
  }
}

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

/** Rejects `reached` when the time is over, or when the server says too much. */
class Deadline {
  readonly reached: Promise<never>;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(options: SessionOptions, socket: Socket) {
    const { connectTimeoutMs, hostname, port } = options;
    const timeoutMs = options.timeoutMs === 0 ? TIMEOUT_MS_MAX : options.timeoutMs;
    this.reached = new Promise((_, reject) => {
      const give = (cause: CheckFailure, message: string): void => {
        reject(new ServerFault(cause, message));
        socket.destroy();
      };
      this.#after(timeoutMs, () => give("timeout", `no answer within ${timeoutMs} ms`));
      if (connectTimeoutMs > 0 && connectTimeoutMs < timeoutMs) {
        this.#after(connectTimeoutMs, () => {
          if (!socket.connecting) return;
          give("timeout", `no connection to ${hostname}:${port} within ${connectTimeoutMs} ms`);
        });
      }
      socket.on("data", () => {
        if (socket.bytesRead > ANSWER_BYTES_MAX) give("other", "the answer is too long");
      });
    });
    this.reached.catch(() => undefined); // Reached after the talk has ended: nobody listens.
  }

  cancel(): void {
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

const REFUSED_CODES = new Set(["ECONNREFUSED", "ENOENT", "EHOSTUNREACH", "ENETUNREACH", "EACCES"]);
const CLOSED_CODES = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED"]);
const NAME_CODES = new Set(["ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "EAI_NODATA"]);

function classify(error: unknown): ProbeFailure {
  assertError(error);
  const message = error.message === "" ? firstOf(error) : error.message;
  if (error instanceof pg.DatabaseError) {
    const sqlstate = error.code ?? "XX000";
    return { cause: causeOfSqlstate(sqlstate), message, sqlstate };
  }
  const { code } = error as NodeJS.ErrnoException;
  return { cause: causeOfCode(code ?? codeOfFirst(error), message), message, sqlstate: null };
}

function causeOfSqlstate(sqlstate: string): CheckFailure {
  if (sqlstate === "53300") return "too-many-connections";
  return sqlstate.startsWith("28") ? "auth" : "other";
}

function causeOfCode(code: string | undefined, message: string): CheckFailure {
  if (code !== undefined && REFUSED_CODES.has(code)) return "refused";
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
