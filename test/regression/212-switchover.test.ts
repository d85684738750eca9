/** A standby takes over from a real primary while clients go on. */
import { join, resolve } from "node:path";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SwitchoverNews } from "../../src/wire/ipc/index.ts";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import type { PostgresCluster } from "../support/postgres.ts";
import { run, type Ended } from "../support/programs.ts";
import { scriptedConfig, startScriptedPostgres } from "../support/switchover-lab.ts";

const WRITERS = 6;
const CALM_ROWS = 20;
const FAILING_COMMAND = "failover_command = 'sh -c \"exit 1\"'";

let postgres: PostgresCluster;

beforeAll(async () => {
  postgres = await startScriptedPostgres(2);
  await postgres.query(0, "CREATE TABLE ledger (writer int, number int)");
  await postgres.query(0, "CREATE TABLE pairs (writer int, number int)");
  await postgres.caughtUp();
}, 120_000);

afterAll(async () => {
  await postgres.stop();
});

describe.each(["session", "transaction"])("pgquorum switchover, pool_mode = %s", (poolMode) => {
  let node: LoneNode;
  const clients: pg.Client[] = [];

  beforeAll(async () => {
    node = await LoneNode.start({
      postgres,
      config: (place) => [
        ...scriptedConfig(postgres, place),
        `pool_mode = ${poolMode}`,
        "sr_check_period = 1",
        "health_check_period = 1",
        "num_workers = 2",
      ],
    });
  }, 60_000);

  afterAll(async () => {
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
    await node.remove();
  });

  async function connect(): Promise<pg.Client> {
    const client = await node.client({ database: "postgres" });
    clients.push(client);
    return client;
  }

  function switchover(...args: readonly string[]): Promise<Ended> {
    const words = ["switchover", "-f", join(node.home, "pgpool.conf"), ...args];
    return run(resolve(import.meta.dirname, "../../bin/pgquorum"), words);
  }

  async function allFollow(primaryId: number): Promise<void> {
    await until("all follow and are attached", async () => {
      const { view, cluster } = await node.status();
      if (view.primaryId !== primaryId || cluster?.intent !== null) return false;
      if (cluster.followingIds.length > 0) return false;
      return view.backends.every(({ state }) => state !== "down");
    });
  }

  it("costs clients a pause and no error, and loses no row", async () => {
    const { primaryId } = (await node.status()).view;
    const target = primaryId === 1 ? 2 : 1;
    const idle = await connect();
    await idle.query("SET application_name = 'idle'");
    const load = new Load();
    for (let writer = 0; writer < WRITERS; writer += 1) load.write(await connect(), writer);
    load.pair(await connect(), WRITERS);
    load.read(await connect());
    await load.calm();
    const ended = await switchover("--to", String(target), "--json");
    expect(ended.stderr).toBe("");
    const news = JSON.parse(ended.stdout) as SwitchoverNews & { pausedMs: number };
    expect(news).toMatchObject({ state: "done", toId: target, problem: "" });
    await load.calm();
    const told = await load.stop();
    expect(told.errors).toEqual([]);
    const rows = await postgres.query(target, "SELECT writer || ' ' || number AS row FROM ledger");
    const there = new Set(rows.map(({ row }) => row));
    expect(told.acknowledged.filter((row) => !there.has(row))).toEqual([]);
    const halves = "SELECT 1 FROM pairs GROUP BY writer, number HAVING count(*) % 2 <> 0";
    expect(await postgres.query(target, halves)).toEqual([]);
    expect((await idle.query("SHOW application_name")).rows).toEqual([
      { application_name: "idle" },
    ]);
    const recovery = await idle.query("SELECT pg_is_in_recovery() /* on the primary */");
    expect(recovery.rowCount).toBe(1);
    process.stderr.write(
      `${poolMode}: ${news.pausedMs} ms as the node saw it, longest write ${Math.round(told.longestMs)} ms\n`,
    );
    await allFollow(target);
  });

  it("is given up for a transaction that does not end, which then goes on", async () => {
    const { primaryId } = (await node.status()).view;
    const open = await connect();
    await open.query("BEGIN");
    await open.query("INSERT INTO ledger VALUES (-1, 1)");
    const ended = await switchover("--drain-timeout", "0.3", "--on-timeout", "abort");
    expect(ended.stdout).toContain("transactions still ran after 300 ms");
    expect(ended.exitCode).toBe(1);
    await open.query("COMMIT");
    const { view, cluster } = await node.status();
    expect([view.primaryId, cluster?.intent]).toEqual([primaryId, null]);
    expect(view.backends.map(({ state }) => state)).not.toContain("down");
  });

  it("ends a transaction that does not end, when it is told to, with one error", async () => {
    const { primaryId } = (await node.status()).view;
    const target = primaryId === 1 ? 2 : 1;
    const [open, busy] = [await connect(), await connect()];
    await open.query("BEGIN");
    await open.query("INSERT INTO ledger VALUES (-3, 1)");
    await busy.query("BEGIN");
    await busy.query("INSERT INTO ledger VALUES (-3, 2)");
    const sleeping = busy.query("SELECT pg_sleep(60)").catch((error: pg.DatabaseError) => error);
    const words = ["--to", String(target), "--drain-timeout", "0.3", "--on-timeout", "cancel"];
    const ended = await switchover(...words);
    expect(ended.stdout).toContain("transactions still ran after 300 ms: cancelled");
    expect(ended.exitCode).toBe(0);
    const told = [await sleeping, await open.query("COMMIT").catch((error: unknown) => error)];
    // That of a server that is stopped, or that its connection is lost: nothing was committed.
    for (const error of told)
      expect(error).toMatchObject({ code: expect.stringMatching(/^(57P01|08006)$/) });
    for (const client of [open, busy]) {
      await client.query("ROLLBACK");
      const rows = await client.query("SELECT * FROM ledger WHERE writer = -3 /* primary */");
      expect(rows.rows).toEqual([]);
      await client.query("INSERT INTO ledger VALUES (-4, 1)");
    }
    expect((await node.status()).view.primaryId).toBe(target);
    await allFollow(target);
  });

  it("is what pcp_promote_node -s -g does, whose answer is how it ended", async () => {
    const { primaryId } = (await node.status()).view;
    const refused = await node.pcp("pcp_promote_node", "-n", String(primaryId), "-s", "-g");
    expect(refused.stderr).toContain("is the primary already");
    const target = primaryId === 1 ? 2 : 1;
    const client = await connect();
    await client.query("SELECT 1");
    const done = await node.pcp("pcp_promote_node", "-n", String(target), "-s", "-g");
    expect(`${done.stdout}${done.stderr}`).toContain("Command Successful");
    expect((await node.status()).view.primaryId).toBe(target);
    const { stdout } = await node.ask("history");
    expect(stdout).toContain("asked by  PCP user pcp by pcp_promote_node -s -g");
    await client.query("INSERT INTO ledger VALUES (-2, 1)");
    await allFollow(target);
  });

  it("lets what runs on a server end before pcp_detach_node -g takes it away", async () => {
    const { primaryId } = (await node.status()).view;
    const standby = [0, 1, 2].find((id) => id !== primaryId) ?? -1;
    const gone = await node.pcp("pcp_detach_node", "-n", String(standby), "-g");
    expect(`${gone.stdout}${gone.stderr}`).toContain("Command Successful");
    await until("it is down", async () => {
      const { view } = await node.status();
      return view.backends[standby]?.state === "down";
    });
    const { stdout } = await node.ask("history");
    expect(stdout).toContain("asked by  PCP user pcp by pcp_detach_node -g");
    await node.pcp("pcp_attach_node", "-n", String(standby));
    await allFollow(primaryId ?? -1);
  });
});

describe.each([
  {
    // What it prints is thrown away, so nobody knows where the log ends.
    what: "the old primary is stopped",
    spoil: (line: string) =>
      line.startsWith("demote_command") ? line.replace(/'$/, " >/dev/null'") : line,
    problem: "demote_command did not print where the log ends",
  },
  {
    what: "the standby is to be promoted",
    spoil: (line: string) => (line.startsWith("failover_command") ? FAILING_COMMAND : line),
    problem: "failover_command for node 0 ended with status 1",
  },
])("a switchover that fails when $what", ({ spoil, problem }) => {
  it("starts it again, and clients see no error", async () => {
    const node = await LoneNode.start({
      postgres,
      config: (place) => [
        ...scriptedConfig(postgres, place).map(spoil),
        "sr_check_period = 1",
        "health_check_period = 1",
        "failover_command_retries = 1",
        "failover_hold_timeout = 30s",
      ],
    });
    const load = new Load();
    const client = await node.client({ database: "postgres" });
    try {
      const { primaryId } = (await node.status()).view;
      load.write(client, 100);
      await load.calm();
      const words = ["switchover", "-f", join(node.home, "pgpool.conf"), "--json"];
      const program = resolve(import.meta.dirname, "../../bin/pgquorum");
      await until("the standby streams", async () => {
        return (await run(program, [...words, "--dry-run"])).exitCode === 0;
      });
      const ended = await run(program, words);
      expect(ended.exitCode).toBe(1);
      expect(JSON.parse(ended.stdout)).toMatchObject({
        state: "failed",
        problem: problem.replace("node 0", `node ${primaryId}`),
      });
      await load.calm();
      expect((await load.stop()).errors).toEqual([]);
      const { view } = await node.status();
      expect(view.primaryId).toBe(primaryId);
      expect(view.backends.map(({ state }) => state)).not.toContain("down");
    } finally {
      await client.end().catch(() => undefined);
      await node.remove();
    }
  });
});

/** Clients that write and read until they are told to stop, and note what they were told. */
class Load {
  readonly #acknowledged: string[] = [];
  readonly #errors: string[] = [];
  readonly #running: Promise<void>[] = [];
  #longestMs = 0;
  #isStopping = false;
  #calm: (() => void)[] = [];

  write(client: pg.Client, writer: number): void {
    this.#repeat(async (number) => {
      await client.query("INSERT INTO ledger VALUES ($1, $2)", [writer, number]);
      this.#acknowledged.push(`${writer} ${number}`);
    });
  }

  pair(client: pg.Client, writer: number): void {
    this.#repeat(async (number) => {
      await client.query("BEGIN");
      await client.query("INSERT INTO pairs VALUES ($1, $2)", [writer, number]);
      await client.query("INSERT INTO pairs VALUES ($1, $2)", [writer, number]);
      await client.query("COMMIT");
    });
  }

  read(client: pg.Client): void {
    this.#repeat(async () => {
      await client.query("SELECT count(*) FROM ledger WHERE number < 5");
    });
  }

  /** Everybody has done something some times, from now on. */
  async calm(): Promise<void> {
    for (let count = 0; count < CALM_ROWS; count += 1) {
      await new Promise<void>((resolve) => {
        this.#calm.push(resolve);
      });
    }
  }

  async stop(): Promise<{ acknowledged: string[]; errors: string[]; longestMs: number }> {
    this.#isStopping = true;
    await Promise.all(this.#running);
    return {
      acknowledged: this.#acknowledged,
      errors: this.#errors,
      longestMs: this.#longestMs,
    };
  }

  #repeat(work: (number: number) => Promise<void>): void {
    const loop = async (): Promise<void> => {
      for (let number = 0; !this.#isStopping; number += 1) {
        const beganMs = performance.now();
        try {
          await work(number);
        } catch (error) {
          this.#errors.push(String(error));
          return;
        }
        this.#longestMs = Math.max(this.#longestMs, performance.now() - beganMs);
        const calm = this.#calm;
        this.#calm = [];
        for (const resolve of calm) resolve();
      }
    };
    this.#running.push(loop());
  }
}
