/** `pgquorum pause` and `pgquorum resume`, on a whole node with two workers. */
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/loopback-cluster.ts";
import { LoneNode } from "../support/lone-node.ts";
import {
  programPath,
  runAsPostgres,
  startPostgres,
  type PostgresCluster,
} from "../support/postgres.ts";
import { run, type Ended } from "../support/programs.ts";

const BIN = join(import.meta.dirname, "../../bin");
const PAUSE_MS = 2000;

let postgres: PostgresCluster;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 1 });
  await postgres.query(0, "create database bench");
  const fill = ["-h", "127.0.0.1", "-p", `${postgres.servers[0]?.port}`, "-i", "-q", "bench"];
  await runAsPostgres(programPath("pgbench"), fill);
  await postgres.caughtUp();
});

afterAll(async () => {
  await postgres?.stop();
});

describe.each(["session", "transaction"])("in %s mode", (mode) => {
  let node: LoneNode;

  beforeAll(async () => {
    // Reads go to the standby, so that a test knows where they are.
    const own = [`pool_mode = ${mode}`, "pool_size = 4", "num_workers = 2", "backend_weight0 = 0"];
    node = await LoneNode.start({ postgres, config: own });
  });

  afterAll(async () => {
    await node?.remove();
  });

  beforeEach(async () => {
    await resume(0);
    await resume(1);
  });

  const ask = (command: string, ...args: readonly string[]): Promise<Ended> =>
    run(join(BIN, "pgquorum"), [command, "-f", join(node.home, "pgpool.conf"), ...args]);
  const pause = (id: number, ...args: readonly string[]): Promise<Ended> =>
    ask("pause", String(id), ...args);
  const resume = (id: number): Promise<Ended> => ask("resume", String(id));

  /** Statements of clients that PostgreSQL runs, or has transactions of. */
  async function busyOn(server: number): Promise<number> {
    const text = `select count(*)::int as n from pg_stat_activity
      where datname = 'bench' and backend_type = 'client backend'
        and state <> 'idle' and pid <> pg_backend_pid()`;
    const [row] = await postgres.query(server, text);
    return Number(row?.n);
  }

  test.each([
    ["reads and writes", "-N -M prepared"],
    ["clients that come and go", "-S -C"],
  ])("pgbench sees nothing of a pause but that it takes longer: %s", async (_, how) => {
    const options = `-h 127.0.0.1 -p ${node.port} -n ${how} -c 8 -j 8 -T 5 bench`;
    const running = runAsPostgres(programPath("pgbench"), options.split(" "));
    await until("pgbench runs", async () => (await node.status()).clients.clients > 0);
    const paused = await Promise.all([pause(0), pause(1)]);
    expect(paused.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    // Not the end of the WAL, to which the server itself adds now and then.
    const writers = "select pg_snapshot_xmax(pg_current_snapshot())::text as n";
    const [before] = await postgres.query(0, writers);
    const endMs = Date.now() + PAUSE_MS;
    while (Date.now() < endMs) {
      expect([await busyOn(0), await busyOn(1)]).toEqual([0, 0]);
    }
    const [after] = await postgres.query(0, writers);
    if (how.includes("-N")) expect(after).toEqual(before);
    const waiting = JSON.parse((await node.ask("clients", "--json")).stdout) as {
      rows: { state: string }[];
    };
    expect(waiting.rows.length).toBeGreaterThan(0);
    await Promise.all([resume(0), resume(1)]);
    const { stdout, stderr } = await running;
    expect(stdout).toContain("number of failed transactions: 0 (0.000%)");
    expect(stderr).not.toContain("error");
  });

  test("a transaction goes on, status tells of it, and who waits goes on at the end", async () => {
    const [one, other] = [await node.client(), await node.client()];
    try {
      await other.query("select 1");
      await one.query("begin");
      const draining = pause(0, "--timeout", "50");
      await until("the node is paused", async () => (await node.status()).pauses.length === 1);
      const begun = other.query("begin").then(() => "begun");
      const read = other.query("select 1");
      expect((await node.status()).pauses).toMatchObject([
        { backendId: 0, by: "pgquorum pause", running: 1, isDrained: false },
      ]);
      expect((await node.ask("status")).stdout).toMatch(
        /backend 0 is paused by pgquorum pause for .*: 1 connection is still busy; it is resumed in \d+ s\n/,
      );
      await one.query("create table if not exists paused (a int)");
      await one.query("commit");
      const drained = await draining;
      expect(drained.stdout).toMatch(/^backend 0 is paused and drained; it is resumed in \d\d s/);
      expect(await Promise.race([begun, Promise.resolve("waits")])).toBe("waits");
      expect((await resume(0)).stdout).toBe("backend 0 is resumed\n");
      expect(await begun).toBe("begun");
      await read;
      await other.query("rollback");
      expect((await resume(0)).stdout).toBe("backend 0 was not paused\n");
    } finally {
      await Promise.all([one.end(), other.end()]);
    }
  });

  test("reads go on while one of the servers is paused, on the other", async () => {
    const client = await node.client();
    const where = "select current_setting('cluster_name') as node";
    try {
      await client.query("set work_mem = '7MB'");
      expect((await client.query(where)).rows).toEqual([{ node: "node1" }]);
      await pause(0);
      expect((await client.query(where)).rows).toEqual([{ node: "node1" }]);
      await resume(0);
      await pause(1);
      expect((await client.query(where)).rows).toEqual([{ node: "" }]);
      await client.query("set work_mem = '8MB'"); // The standby does not hear of it.
      await resume(1);
      await until("reads are at the standby again", async () => {
        const look =
          "select current_setting('cluster_name') as node, current_setting('work_mem') as mem";
        const { rows } = (await client.query(look)) as { rows: { node: string }[] };
        expect(rows).toMatchObject([{ mem: "8MB" }]);
        return rows[0]?.node === "node1";
      });
    } finally {
      await client.end();
    }
  });

  test("a pause that nobody ends is over after its time, and said to be", async () => {
    const client = await node.client();
    try {
      expect((await pause(0, "--timeout", "1")).exitCode).toBe(0);
      await client.query("create table if not exists paused (a int)");
      expect(node.log).toMatch(/backend 0 is resumed: its pause is over after \d+ ms/);
    } finally {
      await client.end();
    }
  });

  test("a pause that does not drain in its time says so", async () => {
    const client = await node.client();
    try {
      await client.query("begin");
      const { exitCode, stderr } = await pause(0, "--timeout", "3");
      expect(exitCode).toBe(1);
      expect(stderr).toContain("backend 0 is paused; 1 connection is still busy\n");
      expect(stderr).toContain("backend 0 was resumed before all that ran there had ended");
      await client.query("commit");
    } finally {
      await client.end();
    }
  });

  test("what makes no sense is refused with a reason", async () => {
    expect((await pause(7)).stderr).toContain("there is no backend 7; the backends are 0, 1");
    expect((await pause(0, "--timeout", "0")).stderr).toContain("must be 1 second at least");
    expect((await ask("pause", "x")).stderr).toContain("must be a whole number up to");
    expect((await ask("pause")).exitCode).not.toBe(0);
  });
});
