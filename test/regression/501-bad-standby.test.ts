/** ROUNDS=20 stops each standby so often; CI is content with one. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import {
  programPath,
  runAsPostgres,
  startPostgres,
  type PostgresCluster,
} from "../support/postgres.ts";

const ROUNDS = Number(process.env.ROUNDS ?? "1");
const CLIENTS = 32;

let postgres: PostgresCluster;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 2 });
  await postgres.query(0, "create database bench");
  const port = `${postgres.servers[0]?.port}`;
  const where = ["-h", "127.0.0.1", "-p", port, "-U", "postgres"];
  await runAsPostgres(programPath("pgbench"), [...where, "-i", "-q", "bench"]);
  await postgres.caughtUp();
});

afterAll(async () => {
  await postgres?.stop();
});

/** To the server's main process, which makes no new children meanwhile, and to all its children. */
async function signalAll(index: number, signal: NodeJS.Signals): Promise<void> {
  const data = postgres.servers[index]?.dataDirectory ?? "";
  const main = Number(readFileSync(join(data, "postmaster.pid"), "utf8").split("\n")[0]);
  if (signal !== "SIGCONT") process.kill(main, "SIGSTOP");
  const { stdout } = await promisify(execFile)("ps", ["-o", "pid=", "--ppid", `${main}`]);
  const children = stdout.trim().split(/\s+/).map(Number);
  for (const pid of [...children, main]) {
    try {
      process.kill(pid, signal);
    } catch {
      // A child that has ended meanwhile.
    }
  }
}

/** Reads that this server has answered since it started. */
async function readsOn(index: number): Promise<number> {
  const sql = "select xact_commit from pg_stat_database where datname = 'bench'";
  return Number((await postgres.query(index, sql))[0]?.["xact_commit"]);
}

const CONFIG = ["failover_on_backend_error = off", "standby_silence_timeout = 1000"];

describe.each(["session", "transaction"])("in %s mode, under 32 clients that read", (mode) => {
  async function whileReading(protocol: string, work: (node: LoneNode) => Promise<void>) {
    const config = [...CONFIG, `pool_mode = ${mode}`, "num_workers = 2"];
    const node = await LoneNode.start({ postgres, config });
    try {
      const seconds = `${8 + 8 * ROUNDS}`;
      const args = ["-h", "127.0.0.1", "-p", `${node.port}`, "-U", "postgres", "-n", "-S"];
      const load = [...args, "-c", `${CLIENTS}`, "-T", seconds, "-M", protocol, "bench"];
      const before = await readsOn(1);
      const bench = runAsPostgres(programPath("pgbench"), load, { timeoutMs: 600_000 });
      await until("reads reach the standby", async () => (await readsOn(1)) > before + 1000);
      await work(node);
      const { stdout, stderr } = await bench;
      expect(stderr).not.toMatch(/error|abort/i);
      expect(stdout).toContain("number of failed transactions: 0 (0.000%)");
      return node.log;
    } finally {
      await node.remove();
    }
  }

  test(
    "a standby that is killed costs no client an error, and has its reads again when it is back",
    async () => {
      const log = await whileReading("simple", async () => {
        for (let round = 0; round < ROUNDS; round += 1) {
          await signalAll(1, "SIGKILL");
          await new Promise((resolve) => {
            setTimeout(resolve, 1500);
          });
          // What was killed may need a moment to be gone.
          await until("it starts again", async () => {
            try {
              await postgres.startServer(1);
              return true;
            } catch {
              return false;
            }
          });
          await until("it is read from again", async () => (await readsOn(1)) > 1000);
        }
      });
      // Reads may all have been answered at the moment of the kill.
      expect(log).toMatch(/a read failed on backend 1|backend 1 gives no sign of life/);
    },
    60_000 + ROUNDS * 20_000,
  );

  test(
    "a standby that hangs costs no client an error, and has its reads again when it goes on",
    async () => {
      await whileReading("prepared", async (node) => {
        for (let round = 0; round < ROUNDS; round += 1) {
          const reads = await readsOn(1);
          await signalAll(1, "SIGSTOP");
          await until("both workers see that it hangs", () => {
            const verdicts = new Map<string, string>();
            const told = /child pid (\d+): \w+: +backend 1 (gives no sign of life|answers again)/g;
            for (const [, pid = "", verdict = ""] of node.log.matchAll(told))
              verdicts.set(pid, verdict);
            return [...verdicts.values()].join() === "gives no sign of life,gives no sign of life";
          });
          await signalAll(1, "SIGCONT");
          await until("it is read from again", async () => (await readsOn(1)) > reads + 1000);
        }
      });
    },
    60_000 + ROUNDS * 20_000,
  );
});

test.each([
  ["a query", 1],
  ["a query of 200 KiB", 200 * 1024],
])(
  "%s that is in the way of what a standby replays is answered by another server",
  async (_, parameterBytes) => {
    const node = await LoneNode.start({
      postgres,
      config: [...CONFIG, "backend_weight0 = 0", "backend_weight2 = 0"],
    });
    const reader = await node.client();
    try {
      await postgres.query(1, "alter system set max_standby_streaming_delay = '100ms'");
      await postgres.query(1, "select pg_reload_conf()");
      await postgres.query(
        0,
        "drop table if exists conflicted; create table conflicted as select generate_series(1, 10) as a",
        "bench",
      );
      await postgres.caughtUp();
      const slow = reader.query(
        "select count(*)::int as n from conflicted, lateral generate_series(1, 100000000 + a) where $1 <> ''",
        ["x".repeat(parameterBytes)],
      );
      await until("it runs on the standby", async () => {
        const sql =
          "select 1 from pg_stat_activity where query like '%from conflicted, lateral%' and state = 'active' and datname = 'bench'";
        return (await postgres.query(1, sql)).length > 0;
      });
      await postgres.query(0, "truncate conflicted", "bench");
      expect((await slow).rows).toEqual([{ n: 0 }]);
      expect(node.log).toMatch(
        /a read failed on backend 1[^]*40001 canceling statement due to conflict/,
      );
    } finally {
      await reader.end();
      await node.remove();
    }
  },
);

test.each(["session", "transaction"])(
  "a database that a standby does not have yet is read on the primary (%s mode)",
  async (mode) => {
    const config = [...CONFIG, "backend_weight0 = 0", `pool_mode = ${mode}`];
    const node = await LoneNode.start({ postgres, config });
    await postgres.query(1, "select pg_wal_replay_pause()");
    await postgres.query(2, "select pg_wal_replay_pause()");
    let client: pg.Client | null = null;
    try {
      await postgres.query(0, `create database fresh_${mode}`);
      client = await node.client({ database: `fresh_${mode}` });
      const sql = "select current_setting('cluster_name') as name";
      expect((await client.query(sql)).rows).toEqual([{ name: "" }]);
    } finally {
      await client?.end();
      await postgres.query(1, "select pg_wal_replay_resume()");
      await postgres.query(2, "select pg_wal_replay_resume()");
      await node.remove();
    }
  },
);

test("a standby that is killed and taken out by the node costs no client an error either", async () => {
  const config = ["failover_on_backend_error = on", "num_workers = 2"];
  const node = await LoneNode.start({ postgres, config });
  try {
    const args = ["-h", "127.0.0.1", "-p", `${node.port}`, "-U", "postgres", "-n", "-S"];
    const before = await readsOn(1);
    const load = [...args, "-c", `${CLIENTS}`, "-T", "8", "-M", "extended", "bench"];
    const bench = runAsPostgres(programPath("pgbench"), load);
    await until("reads reach the standby", async () => (await readsOn(1)) > before + 1000);
    await signalAll(1, "SIGKILL");
    const { stdout, stderr } = await bench;
    expect(stderr).not.toMatch(/error|abort/i);
    expect(stdout).toContain("number of failed transactions: 0 (0.000%)");
    expect((await node.status()).view.backends[1]?.state).toBe("down");
  } finally {
    await node.remove();
  }
});
