/**
 * Cancel requests by the hundred, over two workers, while others work: each hits the statement that
 * it was meant for or none. `CANCELS=1000` is the long run.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Random } from "../sim/random.ts";
import { LoneNode } from "../support/lone-node.ts";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { RawClient, say } from "../support/raw-client.ts";

const CANCELS = Number(process.env.CANCELS ?? "150");
const CLIENTS = 20;
const TIMEOUT_MS = 60_000 + CANCELS * 200;
const CANCEL_HEAD = Buffer.from([0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e]);
/** A cancel that comes before its statement runs is lost, as with PostgreSQL itself. */
const AGAIN_AFTER_MS = 300;

let postgres: PostgresCluster;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 0 });
  await postgres.query(0, "create database bench");
});

afterAll(async () => {
  await postgres?.stop();
});

interface Tally {
  left: number;
  cancelled: number;
  plain: number;
  wrong: string[];
}

class Canceller {
  readonly #node: LoneNode;
  readonly #client: RawClient;
  readonly #key: Buffer;
  readonly #name: string;
  readonly #random: Random;
  readonly #tally: Tally;
  #round = 0;

  private constructor(o: {
    node: LoneNode;
    client: RawClient;
    key: Buffer;
    seed: number;
    tally: Tally;
  }) {
    this.#node = o.node;
    this.#client = o.client;
    this.#key = o.key;
    this.#name = `client ${o.seed}`;
    this.#random = new Random(o.seed);
    this.#tally = o.tally;
  }

  static async open(node: LoneNode, seed: number, tally: Tally): Promise<Canceller> {
    const client = await RawClient.open(node.port);
    client.send(say.startUp({ user: "postgres", database: "bench" }));
    await client.ready();
    const key = client.frames.find((frame) => frame.type === "K")?.body ?? Buffer.alloc(8);
    return new Canceller({ node, client, key, seed, tally });
  }

  async work(): Promise<void> {
    const tally = this.#tally;
    while (tally.left > 0 && tally.wrong.length === 0) {
      const drawn = this.#random.below(3);
      if (drawn === 0) await this.#plain();
      else if (drawn === 1) await this.#victim();
      else await this.#late();
    }
    this.#client.destroy();
  }

  /** Nobody cancels it. */
  async #plain(): Promise<void> {
    const state = await this.#ended(this.#run(this.#random.below(15) / 1000));
    this.#tally.plain += 1;
    if (state !== "done") this.#tally.wrong.push(`${this.#name}: a statement ended with ${state}`);
  }

  /** It would sleep for a minute. */
  async #victim(): Promise<void> {
    this.#tally.left -= 1;
    const ended = this.#ended(this.#run(60));
    await pause(this.#random.below(30));
    for (let state: string | null = null; state === null;) {
      await this.#cancel();
      state = await Promise.race([ended, pause(AGAIN_AFTER_MS)]);
      if (state === "57014") this.#tally.cancelled += 1;
      else if (state !== null)
        this.#tally.wrong.push(`${this.#name}: a victim ended with ${state}`);
    }
  }

  /** The cancel comes when the statement is just ending; the next one, of whomever, is safe. */
  async #late(): Promise<void> {
    this.#tally.left -= 1;
    const ended = this.#ended(this.#run(this.#random.below(6) / 1000));
    await pause(this.#random.below(8));
    const [state] = await Promise.all([ended, this.#cancel()]);
    if (state === "57014") this.#tally.cancelled += 1;
    else if (state !== "done") this.#tally.wrong.push(`${this.#name}: ended with ${state}`);
    await this.#plain();
  }

  /** @returns the text that the answer must contain. */
  #run(seconds: number): string {
    this.#round += 1;
    const tag = `${this.#name} round ${this.#round}`;
    const text = `select '${tag}', pg_sleep(${seconds})`;
    this.#client.frames.length = 0;
    if (this.#random.chance(0.5)) this.#client.send(say.query(text));
    else this.#client.send(say.parse("", text), say.bind("", ""), say.execute(), say.sync());
    return tag;
  }

  async #ended(tag: string): Promise<string> {
    const client = this.#client;
    await client.until(() => client.count("Z") >= 1, `the end of ${tag}`, 20_000);
    if (client.count("Z") > 1) return "two answers";
    const row = client.frames.find((frame) => frame.type === "D");
    if (row !== undefined)
      return row.body.includes(tag) ? "done" : "an answer of another statement";
    return client.error()["C"] ?? "an error without a code";
  }

  async #cancel(): Promise<void> {
    const request = await RawClient.open(this.#node.port);
    request.send(Buffer.concat([CANCEL_HEAD, this.#key]));
    await request.closed();
  }
}

async function storm(config: readonly string[]): Promise<void> {
  const node = await LoneNode.start({
    postgres,
    config: ["num_workers = 2", "num_init_children = 200", ...config],
  });
  try {
    const tally: Tally = { left: CANCELS, cancelled: 0, plain: 0, wrong: [] };
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, (_, seed) => Canceller.open(node, seed, tally)),
    );
    await Promise.all(clients.map((client) => client.work()));
    expect(tally.wrong).toEqual([]);
    // A third of them are victims at least.
    expect(tally.cancelled).toBeGreaterThan(CANCELS / 4);
    expect(tally.plain).toBeGreaterThan(CANCELS / 4);
  } finally {
    await node.remove();
  }
}

function pause(ms: number): Promise<null> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(null), ms);
  });
}

test(
  "session mode: every cancel hits the statement that it was meant for, or none",
  async () => {
    await storm([]);
  },
  TIMEOUT_MS,
);

test(
  "transaction mode: no cancel hits a statement of whoever has the server connection next",
  async () => {
    await storm(["pool_mode = 'transaction'", "pool_size = 12"]);
  },
  TIMEOUT_MS,
);
