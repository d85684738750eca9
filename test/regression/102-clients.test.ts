import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  programPath,
  runAsPostgres,
  startPostgres,
  type PostgresCluster,
} from "../support/postgres.ts";
import { pause, startWorker, type WorkerHarness } from "../support/worker-harness.ts";
import { STATISTICS_COUNT } from "../../src/wire/ipc/index.ts";

let postgres: PostgresCluster;
let worker: WorkerHarness;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 2 });
  await postgres.query(0, "create database bench");
  await postgres.caughtUp();
  // PostgreSQL writes the statistics of a connection when it ends, so none is kept.
  worker = await startWorker({
    postgres,
    weights: [0, 1, 3],
    config: ["connection_cache = off", "num_init_children = 64"],
  });
});

afterAll(async () => {
  await worker?.stop();
  await postgres?.stop();
});

async function program(name: string, ...args: readonly string[]): Promise<string> {
  const at = ["-h", "127.0.0.1", "-p", `${worker.port}`, "-U", "postgres"];
  const { stdout, stderr } = await runAsPostgres(programPath(name), [...at, ...args]);
  return stdout + stderr;
}

async function psql(sql: string): Promise<string> {
  return program("psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql, "bench");
}

async function transactions(): Promise<number[]> {
  await pause(300);
  return Promise.all(
    postgres.servers.map(async (_, index) => {
      const sql = "select xact_commit::int as n from pg_stat_database where datname = 'bench'";
      const [row] = await postgres.query(index, sql);
      return Number(row?.["n"]);
    }),
  );
}

describe("psql", () => {
  test("gets a result", async () => {
    expect(await psql("select 40 + 2")).toBe("42\n");
  });

  test("gets PostgreSQL's own text when the database does not exist", async () => {
    const result = program("psql", "-X", "-c", "select 1", "nowhere");
    await expect(result).rejects.toThrow(/database "nowhere" does not exist/);
  });

  test("copies in and out", async () => {
    await psql("create table copied (a int, b text)");
    await psql("copy copied from program 'seq -f \"%.0f,x\" 1 1000' csv");
    await postgres.caughtUp();
    const out = await psql("copy (select count(*), sum(a) from copied) to stdout csv");
    expect(out).toBe("1000,500500\n");
  });

  test("reads its backends from SHOW POOL_NODES", async () => {
    const lines = (await psql("show pool_nodes")).trim().split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain("|primary|");
    expect(lines.filter((line) => line.includes("|true|"))).toHaveLength(1);
  });

  test("uses the Unix socket as well", async () => {
    const args = ["-h", worker.directory, "-p", `${worker.port}`, "-U", "postgres"];
    const all = [...args, "-X", "-At", "-c", "select 7", "bench"];
    expect((await runAsPostgres(programPath("psql"), all)).stdout).toBe("7\n");
  });
});

describe("pgbench", () => {
  test("initializes", async () => {
    expect(await program("pgbench", "-i", "-q", "bench")).toContain("done");
    await postgres.caughtUp();
  });

  for (const mode of ["simple", "extended", "prepared"]) {
    test(`runs TPC-B with -M ${mode} on the primary alone`, async () => {
      const before = await transactions();
      const out = await program("pgbench", "-n", "-M", mode, "-c", "4", "-t", "50", "bench");
      expect(out).toContain("number of failed transactions: 0");
      expect(out).toContain("number of transactions actually processed: 200/200");
      const after = await transactions();
      expect((after[0] ?? 0) - (before[0] ?? 0)).toBeGreaterThanOrEqual(200);
    });

    test(`runs -S with -M ${mode}, and the reads are spread by weight`, async () => {
      const before = await transactions();
      const options = ["-n", "-S", "-M", mode, "-c", "32", "-t", "50"];
      const out = await program("pgbench", ...options, "bench");
      expect(out).toContain("number of failed transactions: 0");
      const after = await transactions();
      const counts = after.map((count, index) => count - (before[index] ?? 0));
      const [primary = 0, light = 0, heavy = 0] = counts;
      // 32 sessions choose with the odds 1 : 3; a session's 50 reads stay together.
      expect(light + heavy).toBeGreaterThan(1500);
      expect(primary).toBeLessThan(200);
      expect(heavy).toBeGreaterThan(light);
      expect(light).toBeGreaterThan(0);
    });
  }

  test("connects for every transaction", async () => {
    const out = await program("pgbench", "-n", "-S", "-C", "-c", "4", "-t", "50", "bench");
    expect(out).toContain("number of failed transactions: 0");
  });

  test("finds its backend connections open when they are kept", async () => {
    const keeping = await startWorker({ postgres, weights: [0, 1, 3] });
    try {
      const sql = "select sessions::int as n from pg_stat_database where datname = 'bench'";
      const [before] = await postgres.query(0, sql);
      const at = ["-h", "127.0.0.1", "-p", `${keeping.port}`, "-U", "postgres"];
      const options = [...at, "-n", "-S", "-C", "-c", "4", "-t", "50", "bench"];
      const { stdout } = await runAsPostgres(programPath("pgbench"), options);
      expect(stdout).toContain("number of failed transactions: 0");
      const [after] = await postgres.query(0, sql);
      // 200 clients, four at a time.
      expect(Number(after?.["n"]) - Number(before?.["n"])).toBeLessThan(20);
    } finally {
      await keeping.stop();
    }
  });

  test("every read is counted", async () => {
    const counted = await worker.message(
      (message) => message.type === "stats" && message.statistics.length > 2 * STATISTICS_COUNT,
    );
    expect(counted).toMatchObject({ type: "stats" });
  });
});
