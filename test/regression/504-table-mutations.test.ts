import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";

const ROUNDS = 60;
const SESSIONS = 8;

let postgres: PostgresCluster;
let queryMode = "simple";

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 1 });
  await postgres.query(0, "create database bench");
  await postgres.query(0, "create table t as select 0 as n", "bench");
  await postgres.query(0, "create table u as select 0 as n", "bench");
  await postgres.caughtUp();
  await postgres.query(1, "alter system set recovery_min_apply_delay = '100ms'");
  await postgres.query(1, "select pg_reload_conf()");
});

afterAll(async () => {
  await postgres?.stop();
});

interface Row {
  readonly n: number;
  readonly server: string;
}

async function read(client: pg.Client | undefined, table: string): Promise<Row | undefined> {
  const text = `select n, current_setting('cluster_name') as server from ${table}`;
  return (await ask(client, text))?.rows[0];
}

async function ask(
  client: pg.Client | undefined,
  text: string,
): Promise<pg.QueryResult<Row> | undefined> {
  const query: pg.QueryConfig & { queryMode: string } = { text, queryMode };
  return await client?.query<Row>(query);
}

/** One session writes, all others, in both workers, read at once what it has written. */
async function staleReads(clients: readonly pg.Client[]): Promise<{ all: number; stale: number }> {
  const seen = { all: 0, stale: 0 };
  for (let round = 0; round < ROUNDS; round += 1) {
    const writer = clients[round % SESSIONS];
    const isExplicit = round % 2 === 0;
    if (isExplicit) await ask(writer, "begin");
    const { rows } = (await ask(writer, "update t set n = n + 1 returning n")) ?? {};
    if (isExplicit) await ask(writer, "commit");
    for (const reader of clients.filter((client) => client !== writer)) {
      const row = await read(reader, "t");
      seen.all += 1;
      if ((row?.n ?? 0) < (rows?.[0]?.n ?? 0)) seen.stale += 1;
    }
  }
  return seen;
}

async function withClients(
  lines: readonly string[],
  work: (clients: readonly pg.Client[]) => Promise<void>,
): Promise<void> {
  const config = [
    "num_workers = 2",
    "backend_weight0 = 0",
    ...lines,
    "track_table_mutation_cold_start_duration = 1s",
  ];
  const node = await LoneNode.start({ postgres, config });
  const clients: pg.Client[] = [];
  try {
    for (let i = 0; i < SESSIONS; i += 1) clients.push(await node.client());
    await until("reads go to the standby", async () => {
      return (await read(clients[0], "t"))?.server === "node1";
    });
    await work(clients);
  } finally {
    for (const client of clients) await client.end();
    await node.remove();
  }
}

test.each([
  ["session", "simple"],
  ["transaction", "extended"],
])(
  "with dml_adaptive_global what one session has written others read on the primary (%s mode, %s)",
  async (mode, protocol) => {
    const lines = ["disable_load_balance_on_write = dml_adaptive_global", `pool_mode = ${mode}`];
    queryMode = protocol;
    await withClients(lines, async (clients) => {
      const { all, stale } = await staleReads(clients);
      // The other worker hears of a write while it runs; nobody waits for that.
      expect(stale / all).toBeLessThan(0.02);
      expect((await read(clients[1], "t"))?.server).toBe("");
      expect((await read(clients[1], "u"))?.server).toBe("node1");
      const { rows } = (await clients[1]?.query("pgpool explain route select * from t")) ?? {};
      expect(JSON.stringify(rows)).toContain(
        "t was written by a session of this node a moment ago",
      );
      await until("its time is over", async () => {
        return (await read(clients[1], "t"))?.server === "node1";
      });
    });
  },
);

test("with dml_adaptive they read it on the standby, before it is there", async () => {
  await withClients(["disable_load_balance_on_write = dml_adaptive"], async (clients) => {
    const { all, stale } = await staleReads(clients);
    expect(stale / all).toBeGreaterThan(0.2);
  });
});
