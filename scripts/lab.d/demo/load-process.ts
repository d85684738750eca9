/**
 * The clients of the demonstration: one process on the client host that writes, reads and probes
 * through the VIP as any application would, and remembers what it was told.
 */
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { monotonicNowMs } from "../../../src/os/index.ts";
import {
  LEDGER_TABLE,
  READS_ROWS,
  READS_TABLE,
  valueOf,
  type FromLoad,
  type LoadOptions,
  type ToLoad,
} from "./load-messages.ts";

const CONNECT_TIMEOUT_MS = 1_500;
const QUERY_TIMEOUT_MS = 2_500;
/** Between two statements of one client: a load, but not a benchmark. */
const PAUSE_MS = 10;
const RECONNECT_PAUSE_MS = 20;
const PROBE_EVERY_MS = 10;
const PROBE_TIMEOUT_MS = 500;
/** A server with TLS answers `S`, one without `N`; either way it is a living pgquorum. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const ERROR_KINDS_MAX = 50;

export async function runLoad(): Promise<void> {
  const load = new Load();
  for await (const line of createInterface({ input: process.stdin })) {
    await load.hear(JSON.parse(line) as ToLoad);
    if (load.isFinished) break;
  }
  process.exit(0); // The demonstration is gone, or has all it wanted.
}

function tell(message: FromLoad): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

class Load {
  isFinished = false;
  #isStopping = false;
  #clients: Promise<void>[] = [];
  #waiting: number[] = [];
  #started = 0;
  #clientsCount = 0;
  #acknowledged: number[][] = [];
  #unknownCount = 0;
  #longestWriteMs = 0;
  #readsCount = 0;
  #wrongReadsCount = 0;
  readonly #errors = new Map<string, number>();
  #options: LoadOptions | null = null;
  #prober: Prober | null = null;

  async hear(message: ToLoad): Promise<void> {
    switch (message.type) {
      case "start":
        return this.#start(message.options);
      case "await-write":
        this.#waiting.push(message.afterMs);
        return;
      case "start-probe": {
        const [endpoint] = this.#options?.endpoints ?? [];
        if (endpoint !== undefined) this.#prober = new Prober(endpoint);
        return;
      }
      case "stop-probe":
        tell({
          type: "probed",
          ...(this.#prober?.stop() ?? { answeredAtMs: [], failuresCount: 0 }),
        });
        return;
      case "stop":
        return this.#stop();
    }
  }

  #start(options: LoadOptions): void {
    this.#options = options;
    this.#clientsCount = options.writersCount + options.readersCount;
    this.#acknowledged = Array.from({ length: options.writersCount }, () => []);
    for (let writer = 0; writer < options.writersCount; writer += 1) {
      this.#clients.push(this.#keepRunning(options, this.#writing(writer)));
    }
    for (let reader = 0; reader < options.readersCount; reader += 1) {
      this.#clients.push(this.#keepRunning(options, this.#reading()));
    }
  }

  /** One client: a connection, statement after statement; after an error, a new connection. */
  async #keepRunning(
    options: LoadOptions,
    statement: (client: pg.Client) => Promise<void>,
  ): Promise<void> {
    let isFirst = true;
    for (let attempt = 0; !this.#isStopping; attempt += 1) {
      const endpoint = options.endpoints[attempt % options.endpoints.length];
      const client = new pg.Client({
        ...endpoint,
        user: options.user,
        password: options.password,
        database: options.database,
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        query_timeout: QUERY_TIMEOUT_MS,
      });
      client.on("error", () => undefined); // The statement that runs fails with the same error.
      try {
        await client.connect();
        while (!this.#isStopping) {
          await statement(client);
          if (isFirst) this.#countStart();
          isFirst = false;
          await sleep(PAUSE_MS);
        }
        await client.end();
      } catch (error) {
        this.#countError(error);
        // A polite goodbye could wait for a host that is gone.
        (
          client as unknown as { connection: { stream: { destroy(): void } } }
        ).connection.stream.destroy();
        await sleep(RECONNECT_PAUSE_MS);
      }
    }
  }

  #countStart(): void {
    this.#started += 1;
    if (this.#started === this.#clientsCount) tell({ type: "running" });
  }

  #countError(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    if (this.#errors.size < ERROR_KINDS_MAX || this.#errors.has(text)) {
      this.#errors.set(text, (this.#errors.get(text) ?? 0) + 1);
    }
  }

  /** Inserts numbered rows. A number is never used twice, whatever became of it. */
  #writing(writer: number): (client: pg.Client) => Promise<void> {
    let number = 0;
    return async (client) => {
      number += 1;
      const mine = number;
      const beganMs = monotonicNowMs();
      this.#unknownCount += 1;
      await client.query(`INSERT INTO ${LEDGER_TABLE} (writer, number) VALUES ($1, $2)`, [
        writer,
        mine,
      ]);
      this.#unknownCount -= 1;
      this.#acknowledged[writer]?.push(mine);
      const toldMs = monotonicNowMs();
      this.#longestWriteMs = Math.max(this.#longestWriteMs, toldMs - beganMs);
      this.#answerWaiting(beganMs, toldMs);
    };
  }

  #answerWaiting(beganMs: number, atMs: number): void {
    const answered = this.#waiting.filter((afterMs) => beganMs >= afterMs);
    if (answered.length === 0) return;
    this.#waiting = this.#waiting.filter((afterMs) => beganMs < afterMs);
    for (const afterMs of answered) tell({ type: "written", afterMs, atMs });
  }

  #reading(): (client: pg.Client) => Promise<void> {
    let id = 0;
    return async (client) => {
      id = (id % READS_ROWS) + 1;
      const result = await client.query<{ value: number }>(
        `SELECT value FROM ${READS_TABLE} WHERE id = $1`,
        [id],
      );
      this.#readsCount += 1;
      if (result.rows[0]?.value !== valueOf(id)) this.#wrongReadsCount += 1;
    };
  }

  async #stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#clients);
    this.isFinished = true;
    tell({
      type: "finished",
      acknowledged: this.#acknowledged,
      unknownCount: this.#unknownCount,
      longestWriteMs: this.#longestWriteMs,
      readsCount: this.#readsCount,
      wrongReadsCount: this.#wrongReadsCount,
      errors: [...this.#errors].map(([text, count]) => ({ text, count })),
    });
  }
}

/** Asks whether anybody answers at an address, often, and each time on a connection of its own. */
class Prober {
  readonly #answeredAtMs: number[] = [];
  #failuresCount = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(endpoint: { readonly host: string; readonly port: number }) {
    this.#timer = setInterval(() => this.#probe(endpoint), PROBE_EVERY_MS);
  }

  stop(): { answeredAtMs: readonly number[]; failuresCount: number } {
    clearInterval(this.#timer);
    const answeredAtMs = [...this.#answeredAtMs].sort((left, right) => left - right);
    return { answeredAtMs, failuresCount: this.#failuresCount };
  }

  #probe(endpoint: { readonly host: string; readonly port: number }): void {
    const socket = connect({ ...endpoint, timeout: PROBE_TIMEOUT_MS });
    const end = (isAnswered: boolean): void => {
      socket.removeAllListeners();
      socket.on("error", () => undefined);
      socket.destroy();
      if (isAnswered) this.#answeredAtMs.push(monotonicNowMs());
      else this.#failuresCount += 1;
    };
    socket.on("connect", () => socket.write(SSL_REQUEST));
    socket.on("data", () => end(true));
    socket.on("timeout", () => end(false));
    socket.on("error", () => end(false));
    socket.on("end", () => end(false));
  }
}
