import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";

let postgres: PostgresCluster;
let node: LoneNode;

const CONFIG = [
  "num_workers = 1",
  "sr_check_period = 1",
  "backend_weight0 = 0",
  "backend_weight1 = 1",
  "backend_weight2 = 0.000001",
  "backend_application_name1 = 'node1'",
  "backend_application_name2 = 'node2'",
  "delay_threshold_by_time = 1s",
  // Nobody is that many bytes behind here: what is set by time comes first.
  "delay_threshold = 1",
  "prefer_lower_delay_standby = on",
];

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 2 });
  await postgres.query(0, "create database bench");
  await postgres.query(0, "create table t (i int)", "bench");
  await postgres.caughtUp();
});

afterAll(async () => {
  await postgres?.stop();
});

async function withNode(
  config: readonly string[],
  work: (client: pg.Client) => Promise<void>,
): Promise<void> {
  node = await LoneNode.start({ postgres, config: [...CONFIG, ...config] });
  const client = await node.client();
  try {
    await work(client);
  } finally {
    await client.end();
    await node.remove();
  }
}

async function delaysSeen(client: pg.Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ replication_delay: string }>("show pool_nodes");
  return rows.map((row) => row.replication_delay);
}

async function readerOf(client: pg.Client): Promise<string> {
  const text = "select current_setting('cluster_name') as name from t limit 1";
  await client.query(text);
  const { rows } = await client.query<{ name: string }>(
    "select current_setting('cluster_name') name",
  );
  return rows[0]?.name ?? "";
}

describe("delay_threshold_by_time", () => {
  test("keeps reads from a standby that pg_stat_replication calls so far behind", async () => {
    await withNode([], async (client) => {
      await until("node1 reads", async () => (await readerOf(client)) === "node1");
      expect(await delaysSeen(client)).toEqual([
        "0.000000 second",
        expect.stringMatching(/^0\.\d{6} second$/u),
        expect.stringMatching(/^0\.\d{6} second$/u),
      ]);
      await postgres.query(1, "alter system set recovery_min_apply_delay = '3s'");
      await postgres.query(1, "select pg_reload_conf()");
      await until("node1 is seen to be 3 s behind", async () => {
        await postgres.query(0, "insert into t values (1)", "bench");
        return /^[23]\.\d{6} seconds$/u.test((await delaysSeen(client))[1] ?? "");
      });
      expect(await readerOf(client)).toBe("node2");
      await postgres.query(1, "alter system reset recovery_min_apply_delay");
      await postgres.query(1, "select pg_reload_conf()");
      await until("node1 reads again", async () => {
        await postgres.query(0, "insert into t values (1)", "bench");
        return (await readerOf(client)) === "node1";
      });
    });
  });

  test("keeps reads from a standby whose replay stands still, also one without a name", async () => {
    await withNode(["backend_application_name1 = ''"], async (client) => {
      await until("node1 reads", async () => (await readerOf(client)) === "node1");
      await postgres.query(1, "select pg_wal_replay_pause()");
      try {
        await postgres.query(0, "insert into t values (1)", "bench");
        await until("node2 reads", async () => (await readerOf(client)) === "node2");
        expect(Number.parseFloat((await delaysSeen(client))[1] ?? "")).toBeGreaterThan(1);
      } finally {
        await postgres.query(1, "select pg_wal_replay_resume()");
      }
      await until("node1 reads again", async () => (await readerOf(client)) === "node1");
    });
  });

  test("goes by replication_delay_source_cmd where that is set, until it talks nonsense", async () => {
    const file = join(postgres.directory, "delays");
    await writeFile(file, "7 0 0\n");
    const command = [
      `replication_delay_source_cmd = 'cat ${file}'`,
      "replication_delay_source_timeout = 1",
    ];
    await withNode(command, async (client) => {
      await until("node1 reads", async () => (await readerOf(client)) === "node1");
      await writeFile(file, "7\n1001\n999.5\n");
      await until("node1 is too far behind", async () => (await readerOf(client)) === "node2");
      expect(await delaysSeen(client)).toEqual([
        "0.000000 second",
        "1.001000 second",
        "0.999500 second",
      ]);
      await writeFile(file, "node1 is fine\n");
      await until("our own measure counts", async () => (await readerOf(client)) === "node1");
      expect(node.log).toContain('it printed 0 delays for 3 backends, and "node1 is fine"');
      await writeFile(file, "0 1001 0\n");
      await until("it is heard again", async () => (await readerOf(client)) === "node2");
      expect(node.log).toContain("replication_delay_source_cmd tells the delays again");
    });
  });

  test("ends replication_delay_source_cmd when it takes too long, and says so once", async () => {
    const runs = join(postgres.directory, "runs");
    const command = [
      `replication_delay_source_cmd = 'echo 0 9000 0; echo run >> ${runs}; sleep 60'`,
      "replication_delay_source_timeout = 1",
    ];
    await withNode(command, async (client) => {
      const complaint = "it did not end within 1 s";
      await until("it was ended", () => Promise.resolve(node.log.includes(complaint)));
      expect(await readerOf(client)).toBe("node1");
      await until("it was ended three times", async () => {
        return (await readFile(runs, "utf8")).split("\n").length > 4;
      });
      expect(node.log.split(complaint)).toHaveLength(2);
    });
  });
});
