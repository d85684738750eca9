/** One client's connection, as a driver keeps it: made again when it ends, never in between. */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { CrowdOptions, ErrorCount } from "./messages.ts";

const CONNECT_MS = 3_000;
/** Source: PostgreSQL manual, message formats, CancelRequest. */
const CANCEL_CODE = 80_877_102;
const CANCEL_BYTES = 16;
const RECONNECT_AFTER_MS = 20;
/** Whole seconds count; then a host that is gone is known within another one. */
const KEEP_ALIVE_AFTER_MS = 1_000;
const KINDS_MAX = 50;

export interface Told {
  /** SQLSTATE; `closed`: the connection ended without a word; `timeout`: we gave up. */
  readonly code: string;
  readonly text: string;
}

/** Counts what clients are told, by kind. */
export class ErrorTally {
  readonly #counts = new Map<string, number>();

  add({ code, text }: Told): void {
    const kind = `${code} ${text}`.slice(0, 200);
    if (this.#counts.size >= KINDS_MAX && !this.#counts.has(kind)) return;
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
  }

  take(): ErrorCount[] {
    const counted = [...this.#counts].map(([text, count]) => ({ text, count }));
    this.#counts.clear();
    return counted;
  }
}

export class Session {
  readonly #options: CrowdOptions;
  readonly #name: string;
  #client: pg.Client | null = null;

  constructor(options: CrowdOptions, name: string) {
    this.#options = options;
    this.#name = name;
  }

  get isConnected(): boolean {
    return this.#client !== null;
  }

  /** Tries until it is there, or until `isOver` says that nobody waits any more. */
  async connect(isOver: () => boolean): Promise<void> {
    while (this.#client === null && !isOver()) {
      const { host, port, user, password, database, statementMs } = this.#options;
      const client = new pg.Client({
        host,
        port,
        user,
        password,
        database,
        application_name: this.#name,
        connectionTimeoutMillis: CONNECT_MS,
        query_timeout: statementMs,
        keepAlive: true,
        keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
      });
      const forget = (): void => {
        if (this.#client === client) this.#client = null;
      };
      client.on("error", forget).on("end", forget);
      try {
        await client.connect();
        this.#client = client;
      } catch {
        destroy(client);
        await sleep(RECONNECT_AFTER_MS);
      }
    }
  }

  /** @returns the rows, or what the client was told instead. */
  async ask(statement: string | pg.QueryConfig): Promise<pg.QueryResultRow[] | Told> {
    const client = this.#client;
    if (client === null) return { code: "closed", text: "the connection had ended" };
    try {
      return (await client.query(statement)).rows as pg.QueryResultRow[];
    } catch (error) {
      const told = toldBy(error);
      // Whatever still comes on it would be taken for the answer to the next statement.
      if (told.code === "timeout") this.drop();
      return told;
    }
  }

  /** Sends a CancelRequest for what runs on it, on a connection of its own. */
  async cancel(): Promise<void> {
    const client = this.#client as (pg.Client & { processID: number; secretKey: number }) | null;
    if (client === null) return;
    const request = Buffer.alloc(CANCEL_BYTES);
    request.writeInt32BE(CANCEL_BYTES, 0);
    request.writeInt32BE(CANCEL_CODE, 4);
    request.writeInt32BE(client.processID, 8);
    request.writeInt32BE(client.secretKey, 12);
    const { host, port } = this.#options;
    await new Promise<void>((resolve) => {
      const socket = connect({ host, port, timeout: CONNECT_MS });
      socket.on("connect", () => socket.end(request));
      socket.on("timeout", () => socket.destroy());
      socket.on("error", () => undefined);
      socket.on("close", () => resolve());
      socket.resume();
    });
  }

  drop(): void {
    const client = this.#client;
    this.#client = null;
    if (client !== null) destroy(client);
  }
}

export function isTold(answer: pg.QueryResultRow[] | Told): answer is Told {
  return !Array.isArray(answer);
}

/**
 * Whether the client may believe that nothing was stored. 08007 says that nobody knows; so does a
 * connection that ends, and a client that has no patience.
 */
export function saysNotStored({ code }: Told): boolean {
  return !["08007", "closed", "timeout"].includes(code);
}

function toldBy(error: unknown): Told {
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof pg.DatabaseError) return { code: error.code ?? "?", text };
  return { code: /timeout/i.test(text) ? "timeout" : "closed", text };
}

/** A polite goodbye could wait for a host that is gone. */
function destroy(client: pg.Client): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } };
  client.on("error", () => undefined);
  connection.stream.destroy();
}
