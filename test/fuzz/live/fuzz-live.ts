/**
 * The same damaged streams against real worker processes: hostile clients before a real PostgreSQL,
 * and honest clients before a hostile server. Beside each an honest peer is served all the while.
 */
import { readFileSync } from "node:fs";
import { Random } from "../../sim/random.ts";
import { startPostgres, type PostgresCluster } from "../../support/postgres.ts";
import { RawClient, say } from "../../support/raw-client.ts";
import { startWorker, type WorkerHarness } from "../../support/worker-harness.ts";
import { drawMessages } from "../model/messages.ts";
import { mutate } from "../mutate.ts";
import { hostileClient } from "../targets/hostile-session.ts";
import { startUp } from "../targets/start-up.ts";
import { HostileServer } from "./hostile-server.ts";

const STREAMS = 16;
/** A peer that has said all and hears nothing more is left. */
const SILENCE_MS = 150;
const HONEST_WITHIN_MS = 5000;
const RESIDENT_KIB_MAX = 400 * 1024;

export interface LiveOptions {
  readonly seed: number;
  readonly seconds: number;
  /** Lines of pgpool.conf. */
  readonly config: readonly string[];
}

export interface LiveResult {
  readonly connections: number;
  /** Answers that the honest peers got. */
  readonly answers: number;
  readonly residentKibMax: number;
  /** What went wrong, in words. */
  readonly wrong: readonly string[];
}

export async function fuzzLive(o: LiveOptions): Promise<LiveResult> {
  const postgres = await startPostgres({ standbys: 0 });
  const server = await HostileServer.start(o.seed);
  // Of a cluster a worker needs to know no more than where its servers are.
  const hostile: PostgresCluster = Object.assign(Object.create(postgres) as PostgresCluster, {
    servers: [{ port: server.port, dataDirectory: "", isPrimary: true }],
  });
  const workers: WorkerHarness[] = [];
  try {
    await postgres.query(0, "create database bench");
    await postgres.query(0, "create table t (a int)", "bench");
    const { config } = o;
    workers.push(await startWorker({ postgres, config }));
    workers.push(await startWorker({ postgres: hostile, config }));
    const [first, second] = workers as [WorkerHarness, WorkerHarness];
    const results = await Promise.all([
      new Live(first, o, { user: "postgres", database: "bench" }).run(sayAnything),
      new Live(second, o, { user: "honest", database: "bench" }).run(sayHonestly),
    ]);
    return sumOf(results);
  } finally {
    for (const worker of workers) await worker.stop();
    await server.stop();
    await postgres.stop();
  }
}

function sumOf(results: readonly LiveResult[]): LiveResult {
  return {
    connections: results.reduce((sum, one) => sum + one.connections, 0),
    answers: results.reduce((sum, one) => sum + one.answers, 0),
    residentKibMax: Math.max(...results.map((one) => one.residentKibMax)),
    wrong: results.flatMap((one) => one.wrong),
  };
}

/** What one connection sends. */
type Speaker = (random: Random, number: number) => readonly Buffer[];

/** A hostile client; its statements come from a short list that hurts no server. */
function sayAnything(random: Random): readonly Buffer[] {
  const login = say.startUp({ user: "postgres", database: "bench" });
  const other = hostileClient.generate(random);
  if (random.chance(0.3)) {
    const steps = mutate(startUp.generate(random), { random, mutatesBytes: true, other });
    return steps.map(({ bytes }) => bytes);
  }
  const steps = mutate(other, { random, mutatesBytes: true, other });
  return [login, ...steps.filter(({ what }) => what === "client").map(({ bytes }) => bytes)];
}

/** A client that says nothing wrong, before a server that does. */
function sayHonestly(random: Random, number: number): readonly Buffer[] {
  const login = say.startUp({ user: `other${number % 50}`, database: "bench" });
  return [login, ...drawMessages(random, 1 + random.below(10))];
}

class Live {
  readonly #worker: WorkerHarness;
  readonly #o: LiveOptions;
  readonly #honest: Readonly<Record<string, string>>;
  readonly #random: Random;
  readonly #endMs: number;
  readonly #wrong: string[] = [];
  #connections = 0;
  #answers = 0;
  #residentKibMax = 0;

  constructor(worker: WorkerHarness, o: LiveOptions, honest: Readonly<Record<string, string>>) {
    this.#worker = worker;
    this.#o = o;
    this.#honest = honest;
    this.#random = new Random(o.seed);
    this.#endMs = performance.now() + o.seconds * 1000;
  }

  async run(speaker: Speaker): Promise<LiveResult> {
    const streams = Array.from({ length: STREAMS }, () => this.#hostileStream(speaker));
    await Promise.all([...streams, this.#honestStream()]);
    return {
      connections: this.#connections,
      answers: this.#answers,
      residentKibMax: this.#residentKibMax,
      wrong: this.#wrong,
    };
  }

  get #mayGoOn(): boolean {
    return performance.now() < this.#endMs && this.#wrong.length === 0;
  }

  async #hostileStream(speaker: Speaker): Promise<void> {
    while (this.#mayGoOn) {
      this.#connections += 1;
      const number = this.#connections;
      // Each connection has a sequence of its own, so that it can be told from its number.
      const messages = speaker(new Random(this.#o.seed + number * 7919), number);
      await this.#speak(messages).catch(() => undefined);
      const { exitCode, signalCode } = this.#worker.child;
      if (exitCode !== null || signalCode !== null) {
        this.#wrong.push(`the worker ended near connection ${number}: ${this.#worker.log()}`);
      }
    }
  }

  async #speak(messages: readonly Buffer[]): Promise<void> {
    const client = await RawClient.open(this.#worker.port, false);
    const heard = { atMs: performance.now() };
    client.socket.on("data", () => {
      heard.atMs = performance.now();
    });
    for (const message of messages) {
      client.socket.write(message);
      if (this.#random.chance(0.3)) await pause(1);
    }
    while (!client.isClosed && performance.now() - heard.atMs < SILENCE_MS) await pause(10);
    if (this.#random.chance(0.3)) client.socket.resetAndDestroy();
    else client.destroy();
  }

  /** Is served on one connection, and on a new one now and then, whatever the others do. */
  async #honestStream(): Promise<void> {
    try {
      while (this.#mayGoOn) {
        const client = await RawClient.login(this.#worker.port, this.#honest);
        for (let round = 0; round < 20 && this.#mayGoOn; round += 1) {
          client.frames.length = 0;
          client.send(say.query("select 1"));
          await client.until(() => client.count("Z") === 1, "an answer", HONEST_WITHIN_MS);
          if (client.types() !== "TDCZ") throw new Error(`it got ${client.types()}`);
          this.#answers += 1;
          this.#look();
          await pause(5);
        }
        client.send(say.terminate());
        await client.closed();
      }
    } catch (error) {
      this.#wrong.push(`the honest peer: ${String(error)}\n${this.#worker.log().slice(-2000)}`);
    }
  }

  #look(): void {
    const status = readFileSync(`/proc/${this.#worker.child.pid}/status`, "utf8");
    const residentKib = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? "0");
    this.#residentKibMax = Math.max(this.#residentKibMax, residentKib);
    if (residentKib > RESIDENT_KIB_MAX) this.#wrong.push(`${residentKib} KiB are resident`);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
