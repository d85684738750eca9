/**
 * Random pipelines through a worker, and the same ones to PostgreSQL itself: byte for byte the same
 * answers. `PIPELINES=200 MESSAGES=10000` is the long run, `SEED=7 PIPELINES=1` one of them again.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { difference, play, shrinkPipeline } from "../support/pipeline-oracle.ts";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { drawPipeline, type Unit } from "../support/random-pipeline.ts";
import { say } from "../support/raw-client.ts";
import { startWorker, type WorkerHarness } from "../support/worker-harness.ts";

const PIPELINES = Number(process.env.PIPELINES ?? "60");
const MESSAGES = Number(process.env.MESSAGES ?? "60");
const FIRST_SEED = Number(process.env.SEED ?? "1");
/** At once through one worker. */
const STREAMS = 4;
const TIMEOUT_MS = 60_000 + PIPELINES * MESSAGES * 2;

let postgres: PostgresCluster;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 1 });
  await postgres.query(0, "create database bench");
  const tables = Array.from(
    { length: STREAMS },
    (_, i) => `create table w${i} (a int primary key, b text);`,
  );
  await postgres.query(
    0,
    `create table fixed as select i as a, 'row ' || i as b from generate_series(1, 50) i;
     ${tables.join("\n")}`,
    "bench",
  );
  await postgres.caughtUp();
});

afterAll(async () => {
  await postgres?.stop();
});

interface Stream {
  readonly number: number;
  readonly worker: WorkerHarness;
  readonly readsOwnWrites: boolean;
}

async function differenceOf(
  units: readonly Unit[],
  seed: number,
  o: Stream,
): Promise<string | null> {
  const database = "bench";
  const truncate = (): Promise<unknown> => postgres.query(0, `truncate w${o.number}`, database);
  await truncate();
  const direct = await play(units, { port: postgres.servers[0]?.port ?? 0, database, seed });
  await truncate();
  try {
    return difference(direct, await play(units, { port: o.worker.port, database, seed }));
  } catch (error) {
    return `PostgreSQL answers, but through the proxy: ${String(error)}`;
  }
}

/** A failure that a person can read; one that comes and goes stays as long as it was. */
async function shrunk(
  units: readonly Unit[],
  first: string,
  { seed, ...o }: Stream & { seed: number },
): Promise<string> {
  const small = await shrinkPipeline(units, async (candidate) => {
    try {
      return (await differenceOf(candidate, seed, o)) !== null;
    } catch {
      return false; // PostgreSQL itself does not bear it.
    }
  });
  const why = await differenceOf(small, seed, o);
  const [what, shown] = why === null ? ["not every time", units] : ["made small", small];
  return [`seed ${seed}, ${what}:`, ...shown.map(({ text }) => `  ${text}`), why ?? first].join(
    "\n",
  );
}

async function playAll(seeds: number[], o: Stream): Promise<string | null> {
  for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
    const { readsOwnWrites } = o;
    const units = drawPipeline({ seed, messages: MESSAGES, table: `w${o.number}`, readsOwnWrites });
    const why = await differenceOf(units, seed, o);
    if (why !== null) return await shrunk(units, why, { seed, ...o });
  }
  return null;
}

async function checkThrough(worker: WorkerHarness, readsOwnWrites: boolean): Promise<void> {
  try {
    const seeds = Array.from({ length: PIPELINES }, (_, index) => index + FIRST_SEED);
    const streams = Array.from({ length: STREAMS }, (_, number) => ({
      number,
      worker,
      readsOwnWrites,
    }));
    const failures = await Promise.all(streams.map((stream) => playAll(seeds, stream)));
    expect(failures.filter((why) => why !== null).join("\n\n")).toBe("");
  } finally {
    await worker.stop();
  }
}

test(
  "session mode, all reads on a standby: pipelines get the answers of PostgreSQL",
  async () => {
    await checkThrough(await startWorker({ postgres, weights: [0, 1] }), false);
  },
  TIMEOUT_MS,
);

test(
  "transaction mode, two server connections for four clients: pipelines get the answers of PostgreSQL",
  async () => {
    const single = { ...postgres, servers: postgres.servers.slice(0, 1) };
    const config = ["pool_mode = 'transaction'", "pool_size = 2", "max_pool = 2"];
    await checkThrough(await startWorker({ postgres: single, config }), true);
  },
  TIMEOUT_MS,
);

const executed = (sql: string): Buffer[] => [
  say.parse("", sql),
  say.bind("", ""),
  say.describe("P", ""),
  say.execute(),
  say.sync(),
];

const asUnits = (messages: readonly Unit["messages"][number][]): Unit[] =>
  messages.map((message) => ({ text: "", messages: [message] }));

const ONCE_DIFFERENT: Readonly<Record<string, readonly Unit[]>> = {
  "we asked the server something between a Parse without a name and its Describe": asUnits([
    say.query("values (1), (2); select 1; deallocate s3"),
    say.parse("", "execute s1"),
    say.parse("s1", "select $1::int + 1, $2::text"),
    say.bind("", "s1", ["1", "x"]),
    say.execute(),
    say.any("F", Buffer.from("000000b100000002000000013100000001320000", "hex")),
    say.parse("s1", "select a from fixed"),
    say.parse("", "execute s2"),
    say.sync(),
    say.describe("S", ""),
    say.sync(),
  ]),
  "a DISCARD ALL that was skipped counted": asUnits([
    ...executed("set time zone 'Asia/Tokyo'"),
    ...executed("set search_path = public, pg_catalog"),
    say.parse("s3", "close all"),
    say.functionCall(1),
    say.describe("S", "s1"),
    ...executed("discard all"),
    say.any("C", Buffer.from("P\0")),
    say.query("show search_path"),
  ]),
  "a server that lacked the statement took a snapshot in front of START TRANSACTION": asUnits([
    say.parse("s2", "select $1::int + 1, $2::text"),
    say.bind("", "s2", [null, "y"]),
    say.parse("", "select 1"),
    say.bind("", ""),
    say.execute(),
    say.sync(),
    say.describe("S", "s2"),
    say.query("; start transaction isolation level repeatable read; "),
  ]),
};

test.each(
  Object.keys(ONCE_DIFFERENT).flatMap((why) => ["session", "transaction"].map((m) => [m, why])),
)("%s mode: a pipeline that differed once, because %s", async (mode, why) => {
  const config = [`pool_mode = '${mode}'`];
  const worker = await startWorker({ postgres, weights: [0, 1], config });
  try {
    const stream = { number: 0, worker, readsOwnWrites: false };
    expect(await differenceOf(ONCE_DIFFERENT[why] ?? [], 135, stream)).toBeNull();
  } finally {
    await worker.stop();
  }
});
