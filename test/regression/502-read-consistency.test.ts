/**
 * PAIRS=100000 makes so many pairs of a write and a read in each pool mode; CI is content with a few.
 */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { pause, startWorker } from "../support/worker-harness.ts";

const PAIRS = Number(process.env.PAIRS ?? "400");
const SESSIONS = 32;
const DELAY_MS = 50;

let postgres: PostgresCluster;

async function setUp(cluster: PostgresCluster): Promise<void> {
  await cluster.query(0, "create database bench");
  await cluster.query(0, "create role unprivileged login");
  const table = "create table counters (id int primary key, n int) with (fillfactor = 50)";
  await cluster.query(0, table, "bench");
  await cluster.query(
    0,
    `insert into counters select i, 0 from generate_series(0, ${SESSIONS}) i`,
    "bench",
  );
  await cluster.caughtUp();
}

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 2 });
  await setUp(postgres);
  for (const standby of [1, 2]) {
    await postgres.query(standby, `alter system set recovery_min_apply_delay = '${DELAY_MS}ms'`);
    await postgres.query(standby, "select pg_reload_conf()");
  }
});

afterAll(async () => {
  await postgres?.stop();
});

const CONFIG = [
  "backend_weight0 = 0",
  "num_workers = 2",
  "pool_size = 32",
  "num_init_children = 64",
];

function startNode(...config: readonly string[]): Promise<LoneNode> {
  return LoneNode.start({ postgres, config: [...CONFIG, ...config] });
}

interface Row {
  readonly n: number;
  readonly node: string;
}

async function read(client: pg.Client, id: number, isPrepared: boolean): Promise<Row> {
  const text = `select n, current_setting('cluster_name') as node from counters where id = ${id}`;
  const query = isPrepared ? { name: "read", text } : { text };
  return (await client.query<Row>(query)).rows[0] as Row;
}

/** Each session writes its own row and reads it, `reads` times for every write. */
async function writeAndRead(node: LoneNode, o: { readonly pairs: number; readonly reads: number }) {
  const seen = { reads: 0, stale: 0, onStandby: 0 };
  const rounds = Math.ceil(o.pairs / SESSIONS);
  await Promise.all(
    Array.from({ length: SESSIONS }, async (_, id) => {
      const client = await node.client();
      let n =
        (await client.query<Row>(`update counters set n = n where id = ${id} returning n`)).rows[0]
          ?.n ?? 0;
      for (let round = 0; round < rounds; round += 1) {
        const sql = `update counters set n = n + 1 where id = ${id}`;
        if (round % 3 === 0) {
          await client.query("begin");
          await client.query(sql);
          await client.query("commit");
        } else await client.query(sql);
        n += 1;
        for (let i = 0; i < o.reads; i += 1) {
          const row = await read(client, id, id % 2 === 0);
          seen.reads += 1;
          if (row.n !== n) seen.stale += 1;
          if (row.node !== "") seen.onStandby += 1;
        }
      }
      await client.end();
    }),
  );
  return seen;
}

describe.each(["session", "transaction"])("in %s mode, over standbys that are late", (mode) => {
  const LONG_MS = 120_000 + PAIRS * 10;

  test(
    "no session misses its own write, and standbys serve its reads once they have it",
    async () => {
      const node = await startNode(
        `pool_mode = ${mode}`,
        "read_consistency = session",
        "read_consistency_wait = 1s",
        ...(mode === "session" ? [] : ["sr_check_user = 'unprivileged'"]),
      );
      try {
        const seen = await writeAndRead(node, { pairs: PAIRS, reads: 1 });
        if (process.env.PAIRS !== undefined)
          process.stderr.write(`${mode}: ${JSON.stringify(seen)}\n`);
        expect(seen.stale).toBe(0);
        expect(seen.onStandby / seen.reads).toBeGreaterThan(0.6);
      } finally {
        await node.remove();
      }
    },
    LONG_MS,
  );

  test("one read of ten behind a write: none is stale, most are on standbys", async () => {
    const node = await startNode(`pool_mode = ${mode}`, "read_consistency = session");
    try {
      const seen = await writeAndRead(node, { pairs: SESSIONS * 6, reads: 9 });
      expect(seen.stale).toBe(0);
      expect(seen.onStandby / seen.reads).toBeGreaterThan(0.6);
    } finally {
      await node.remove();
    }
  });

  test("without waiting the primary answers what the standbys do not have", async () => {
    const node = await startNode(
      `pool_mode = ${mode}`,
      "read_consistency = session",
      "read_consistency_wait = 0",
    );
    try {
      const seen = await writeAndRead(node, { pairs: SESSIONS * 4, reads: 1 });
      expect(seen).toMatchObject({ stale: 0, onStandby: 0 });
    } finally {
      await node.remove();
    }
  });

  test("with read_consistency = eventual the same shows stale reads", async () => {
    const node = await startNode(`pool_mode = ${mode}`);
    try {
      const seen = await writeAndRead(node, { pairs: SESSIONS * 4, reads: 1 });
      expect(seen.stale).toBeGreaterThan(SESSIONS);
      expect(seen.onStandby).toBe(seen.reads);
    } finally {
      await node.remove();
    }
  });

  test("a position taken in one session has the reads of another wait for it", async () => {
    const node = await startNode(`pool_mode = ${mode}`, "read_consistency_wait = 2s");
    const writer = await node.client();
    const reader = await node.client();
    try {
      for (let n = 1; n <= 5; n += 1) {
        await writer.query(`update counters set n = ${n} where id = ${SESSIONS}`);
        const how = n % 2 === 0 ? { name: "lsn" } : {};
        const { rows } = await writer.query<{ lsn: string }>({ ...how, text: "show pgquorum.lsn" });
        const lsn = rows[0]?.lsn ?? "";
        expect(lsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
        const set = {
          ...(n % 2 === 0 ? { name: `set${n}` } : {}),
          text: `set pgquorum.wait_for_lsn = '${lsn}'`,
        };
        expect((await reader.query(set)).command).toBe("SET");
        expect(await read(reader, SESSIONS, n % 2 === 0)).toMatchObject({ n });
        const shown = await reader.query("show pgquorum.wait_for_lsn");
        expect(shown.rows).toEqual([{ wait_for_lsn: lsn }]);
      }
      await reader.query("reset pgquorum.wait_for_lsn");
      for (const standby of [1, 2]) await postgres.query(standby, "select pg_wal_replay_pause()");
      await writer.query(`update counters set n = 0 where id = ${SESSIONS}`);
      const row = await read(reader, SESSIONS, false);
      expect(row.n).toBe(5);
      expect(row.node).not.toBe("");
    } finally {
      for (const standby of [1, 2]) await postgres.query(standby, "select pg_wal_replay_resume()");
      await writer.end();
      await reader.end();
      await node.remove();
    }
  });
});

test("EXPLAIN ROUTE says that a read waits for its standby, and what for", async () => {
  const node = await startNode("read_consistency = session", "backend_weight2 = 0");
  const client = await node.client();
  const explained = async (): Promise<Record<string, string>> => {
    const text = "pgpool explain route select n from counters";
    const { rows } = await client.query<{ item: string; value: string }>(text);
    return Object.fromEntries(rows.map(({ item, value }) => [item, value]));
  };
  const late = { node: "0", rule: "not-replayed", "standby that is waited for": "1" };
  try {
    expect(await explained()).toMatchObject({ node: "1", rule: "read" });
    await client.query("update counters set n = n where id = 0");
    expect(await explained()).toMatchObject({
      ...late,
      reason: "node 1 is not known to have what this session has written, or read on the primary",
    });
    await until("the standby has it", async () => {
      await read(client, 0, false);
      return (await explained())["rule"] === "read";
    });
    await client.query("set pgquorum.wait_for_lsn = 'FFFF/0'");
    expect(await explained()).toMatchObject({
      ...late,
      reason: "node 1 is not known to have the position that pgquorum.wait_for_lsn names",
    });
    await client.query("reset pgquorum.wait_for_lsn");
    await client.query("begin");
    await client.query("select n from counters for update");
    expect(await explained()).toMatchObject({ node: "0", rule: "transaction" });
    await client.query("rollback");
    const sql = "select n from counters";
    const behindWrite = await node.ask(
      "explain-routing",
      sql,
      "--database",
      "bench",
      "--after-write",
    );
    expect(behindWrite.stdout).toMatch(/^rule +not-replayed$/m);
    const first = await node.ask("explain-routing", sql, "--database", "bench");
    expect(first.stdout).toMatch(/^rule +read$/m);
  } finally {
    await client.end();
    await node.remove();
  }
});

test("a node that cannot ask reads on the primary what standbys may not have, and says why", async () => {
  const worker = await startWorker({
    postgres,
    weights: [0, 1, 1],
    config: [
      "read_consistency = session",
      "read_consistency_wait = 2s",
      "sr_check_database = 'missing'",
    ],
  });
  const client = await worker.client();
  try {
    expect((await read(client, 0, false)).node).not.toBe("");
    const n = (await client.query<Row>("update counters set n = n + 1 where id = 0 returning n"))
      .rows[0]?.n;
    for (let i = 0; i < 5; i += 1) expect(await read(client, 0, false)).toEqual({ n, node: "" });
    expect(worker.log()).toMatch(
      /does not say how far it has come[^]*database "missing" does not exist/,
    );
    await expect(client.query("show pgquorum.lsn")).rejects.toMatchObject({
      code: "57P03",
      detail: "The primary does not say how far it has come.",
    });
  } finally {
    await client.end();
    await worker.stop();
  }
});

test("what is no position, or no parameter of ours, is refused with words that help", async () => {
  const node = await startNode();
  const client = await node.client();
  try {
    const errors: [string, string, RegExp][] = [
      ["set pgquorum.wait_for_lsn = 'yesterday'", "22023", /as SHOW pgquorum.lsn gives it/],
      [
        "set pgquorum.wait_for_lsn to 'FFFFFFFF/FFFFFFFF'",
        "22023",
        /as SHOW pgquorum.lsn gives it/,
      ],
      ["set pgquorum.lsn = '0/1'", "55P02", /SET pgquorum.wait_for_lsn/],
      ["set pgquorum.wait_for_lsn", "42601", /RESET pgquorum.wait_for_lsn/],
      ["show pgquorum.nothing", "42704", /pgquorum.lsn/],
    ];
    for (const [text, code, hint] of errors) {
      for (const how of [{}, { name: "", values: [] as string[], queryMode: "extended" }]) {
        const outcome = client.query({ ...how, text });
        await expect(outcome).rejects.toMatchObject({
          code,
          hint: expect.stringMatching(hint) as string,
        });
      }
    }
    await client.query("set pgquorum.wait_for_lsn = ''");
    await client.query("set session pgquorum.wait_for_lsn to default");
    // A position that the primary has not reached is waited for in vain: the primary answers.
    await client.query("set pgquorum.wait_for_lsn = 'FF/0'");
    expect((await read(client, 0, false)).node).toBe("");
  } finally {
    await client.end();
    await node.remove();
  }
});

test("after a failover no standby of the old primary is read from, whatever its position", async () => {
  const cluster = await startPostgres({ standbys: 2 });
  await setUp(cluster);
  const worker = await startWorker({
    postgres: cluster,
    weights: [0, 0, 1],
    config: ["pool_mode = transaction", "read_consistency = session", "sr_check_user = 'postgres'"],
  });
  const client = await worker.client();
  try {
    await client.query("update counters set n = 1 where id = 0");
    expect(await read(client, 0, false)).toMatchObject({ n: 1, node: "node2" });
    await cluster.stopServer(0);
    await cluster.promote(1);
    const backends = worker.view.backends.map((one) =>
      one.id === 0 ? { ...one, state: "down" as const } : one,
    );
    worker.change({ backends, primaryId: 1 });
    await pause(100);
    for (let n = 2; n < 12; n += 1) {
      await client.query(`update counters set n = ${n} where id = 0`);
      expect(await read(client, 0, false)).toMatchObject({ n, node: "node1" });
    }
  } finally {
    await client.end();
    await worker.stop();
    await cluster.stop();
  }
});
