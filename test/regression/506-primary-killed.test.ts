/**
 * The primary is killed while 64 clients of all kinds are connected: idle, in a transaction, at work.
 * The ready scripts promote a standby and point the other one to it, which is down meanwhile.
 * `ROUNDS=10` does it more often; each round has a fresh set of servers.
 */
import { readFileSync } from "node:fs";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import type { PostgresCluster } from "../support/postgres.ts";
import { scriptedConfig, startScriptedPostgres } from "../support/switchover-lab.ts";

const ROUNDS = Number(process.env.ROUNDS ?? "1");
const IDLE = 24;
const OPEN = 16;
const WRITERS = 12;
const READERS = 12;

interface Told {
  readonly code: string;
  readonly severity: string;
}

function toldOf(error: unknown): Told {
  const { code = "none", severity = "none" } = error as Partial<Told>;
  return { code, severity };
}

function wordsOf(error: unknown): string {
  const { code, message, detail } = error as Partial<pg.DatabaseError>;
  return `${code} ${message}: ${detail}`;
}

/** Kills the postmaster and all its children, none of which gets to say anything. */
function killAll(postgres: PostgresCluster, index: number): void {
  const data = postgres.servers[index]?.dataDirectory ?? "";
  const main = Number(readFileSync(`${data}/postmaster.pid`, "utf8").split("\n")[0]);
  process.kill(main, "SIGSTOP");
  const children = readFileSync(`/proc/${main}/task/${main}/children`, "utf8").trim().split(" ");
  for (const pid of [...children.map(Number), main]) process.kill(pid, "SIGKILL");
}

async function startNode(postgres: PostgresCluster, mode: string): Promise<LoneNode> {
  return LoneNode.start({
    postgres,
    config: (place) => [
      ...scriptedConfig(postgres, place),
      `pool_mode = ${mode}`,
      "num_workers = 2",
      "num_init_children = 100",
      "pool_size = 60",
      "health_check_period = 1",
      "failover_on_backend_error = on",
      "sr_check_period = 1",
    ],
  });
}

/** Autocommit writes, one after another; those that were acknowledged are counted. */
class Writer {
  readonly #client: pg.Client;
  readonly #id: number;
  readonly errors: Told[] = [];
  /** For whoever looks why there were more than allowed. */
  readonly words: string[] = [];
  acknowledged = 0;
  isOver = false;
  readonly ended: Promise<void>;

  constructor(client: pg.Client, id: number) {
    this.#client = client;
    this.#id = id;
    this.ended = this.#run();
  }

  async #run(): Promise<void> {
    for (let at = 0; !this.isOver; at += 1) {
      try {
        await this.#client.query("insert into written values ($1, $2)", [this.#id, at]);
        this.acknowledged += 1;
      } catch (error) {
        this.errors.push(toldOf(error));
        this.words.push(wordsOf(error));
        if (this.errors.length > 3) return;
      }
    }
  }
}

class Reader {
  readonly #client: pg.Client;
  readonly errors: Told[] = [];
  count = 0;
  isOver = false;
  readonly ended: Promise<void>;

  constructor(client: pg.Client) {
    this.#client = client;
    this.ended = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.isOver && this.errors.length < 3) {
      try {
        await this.#client.query("select count(*) from small");
        this.count += 1;
      } catch (error) {
        this.errors.push(toldOf(error));
      }
    }
  }
}

async function round(mode: string): Promise<void> {
  const postgres = await startScriptedPostgres(2);
  let node: LoneNode | null = null;
  try {
    await postgres.query(0, "create database bench");
    await postgres.query(0, "create table written (who int, at int)", "bench");
    await postgres.query(0, "create table small as select 1 as a", "bench");
    await postgres.caughtUp();
    node = await startNode(postgres, mode);
    const at = node;
    const clients = async (count: number): Promise<pg.Client[]> =>
      Promise.all(Array.from({ length: count }, () => at.client()));
    const idle = await clients(IDLE);
    for (const [id, client] of idle.entries()) {
      await client.query(`set work_mem = '${id + 1}MB'`);
      await client.query({ name: "mine", text: "select $1::int + 1 as sum", values: [id] });
    }
    const open = await clients(OPEN);
    for (const client of open) {
      await client.query("begin");
      await client.query("insert into written values (-1, 0)");
    }
    const writing = await clients(WRITERS);
    // Where sessions have connections of their own, they have one to a standby then as well.
    for (const client of writing) await client.query("select count(*) from small");
    const writers = writing.map((client, id) => new Writer(client, id));
    const readers = (await clients(READERS)).map((client) => new Reader(client));
    await until("all are at work", () => writers.every((one) => one.acknowledged > 3));
    killAll(postgres, 0);
    const before = writers.map((one) => one.acknowledged);
    await until("all write again", () =>
      writers.every((one, id) => one.acknowledged > (before[id] ?? 0) + 3 || one.errors.length > 3),
    );
    const follows = async (): Promise<boolean> => {
      const { view, cluster } = await at.status();
      return view.backends[2]?.state !== "down" && cluster?.followingIds.length === 0;
    };
    // One that had received more than the new primary is taken back first.
    await until("the other standby follows", follows, 90_000);
    const all = [...writers, ...readers];
    for (const one of all) one.isOver = true;
    await Promise.all(all.map((one) => one.ended));

    for (const [id, client] of idle.entries()) {
      const { rows } = await client.query("select current_setting('work_mem') as mem");
      expect(rows).toEqual([{ mem: `${id + 1}MB` }]);
      const named = await client.query({ name: "mine", text: "", values: [id] });
      expect(named.rows).toEqual([{ sum: id + 1 }]);
    }
    const truths = new Set<string>();
    for (const client of open) {
      const told = await client.query("insert into written values (-1, 1)").catch(toldOf);
      truths.add(JSON.stringify(told));
      await client.query("rollback");
      await client.query("insert into written values (-2, 0)");
    }
    expect([...truths]).toEqual([JSON.stringify({ code: "08006", severity: "ERROR" })]);
    // Writes that were under way. The server's processes die one after another: a session that lost one
    // of them may be lent another one that dies next, where connections are shared.
    const most = mode === "session" ? 1 : 2;
    for (const { errors, words } of writers) {
      expect(words.slice(most)).toEqual([]);
      for (const told of errors) expect(told).toEqual({ code: "08007", severity: "ERROR" });
    }
    for (const { errors } of readers) expect(errors).toEqual([]);
    const rows = await postgres.query(
      1,
      "select who, count(*)::int as n from written group by 1",
      "bench",
    );
    const counts = new Map(rows.map((row) => [row["who"], row["n"]]));
    expect(counts.get(-1)).toBeUndefined();
    expect(counts.get(-2)).toBe(OPEN);
  } finally {
    await node?.remove();
    await postgres.stop();
  }
}

describe.each(["session", "transaction"])("in %s mode", (mode) => {
  test(
    "a primary that is killed costs idle sessions and reads nothing, and each transaction one error",
    async () => {
      for (let i = 0; i < ROUNDS; i += 1) await round(mode);
    },
    60_000 + ROUNDS * 120_000,
  );
});
