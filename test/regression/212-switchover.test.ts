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
      `${poolMode}: ${news.pausedMs} ms as the node saw it, longest write ${Math.round(told.longestMs)} ms\n${news.steps.map(({ name, at }) => `  ${at - (news.startedAt ?? 0)} ms ${name}\n`).join("")}`,
    );
    await allFollow(target);
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
