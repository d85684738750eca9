/**
 * Who may come in: num_init_children is exact over all workers of a node, whoever is one too many
 * waits for a place, in the order of coming, and is refused in the end.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { RawClient, say } from "../support/raw-client.ts";
import { startWorker } from "../support/worker-harness.ts";
import type { ClientRow, NodeList } from "../../src/wire/ipc/index.ts";

const WORKERS = 3;
const USER = { user: "postgres", database: "bench" };

let postgres: PostgresCluster;
let node: LoneNode;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 0 });
  await postgres.query(0, "create database bench");
});

afterAll(async () => {
  await postgres?.stop();
});

afterEach(async () => {
  await node?.remove();
});

async function start(...config: readonly string[]): Promise<void> {
  const many = ["num_init_children = 10", `num_workers = ${WORKERS}`, "load_balance_mode = off"];
  node = await LoneNode.start({ postgres, config: [...many, ...config] });
}

async function fill(count = 10): Promise<RawClient[]> {
  return await Promise.all(Array.from({ length: count }, () => RawClient.login(node.port, USER)));
}

/** One who has said who he is, and nothing else. */
async function knock(): Promise<RawClient> {
  const client = await RawClient.open(node.port);
  client.send(say.startUp(USER));
  return client;
}

async function waiting(count: number): Promise<void> {
  await until(`${count} clients wait`, async () => {
    const states = (await clients()).map(({ state }) => state);
    return states.filter((state) => state === "waiting for a place").length === count;
  });
}

/** One after the other; each is known to wait before the next one comes. */
async function queue(count: number): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (let i = 1; i <= count; i += 1) {
    clients.push(await knock());
    await waiting(i);
  }
  return clients;
}

/** The cells of the rows that a client has got. */
function rowsOf(client: RawClient): string[][] {
  const rows = client.frames.filter(({ type }) => type === "D");
  return rows.map(({ body }) => {
    const cells: string[] = [];
    let at = 2;
    while (at < body.length) {
      const lengthBytes = body.readInt32BE(at);
      cells.push(body.toString("utf8", at + 4, at + 4 + lengthBytes));
      at += 4 + lengthBytes;
    }
    return cells;
  });
}

/** Those of all workers, as the node tells. */
async function clients(): Promise<readonly ClientRow[]> {
  const { stdout } = await node.ask("clients", "--json");
  return (JSON.parse(stdout) as NodeList<ClientRow>).rows;
}

const leave = (client: RawClient | undefined): void => client?.send(say.terminate());

describe("with num_init_children = 10 and three workers", () => {
  test("client 11 waits, is shown as waiting, and is served when one leaves", async () => {
    await start();
    const inside = await fill();
    const [late] = (await queue(1)) as [RawClient];
    await until("every worker has told", async () => {
      const counts = (await node.status()).clients;
      return counts.clients === 10 && counts.waiting === 1;
    });
    expect((await node.ask("status")).stdout).toContain("clients 10 of 10, waiting 1");
    expect(late.frames).toEqual([]);
    expect(
      node.log.match(/WARNING: {2}1 client waits for a place: all 10 are taken/g),
    ).toHaveLength(1);
    inside[1]?.send(say.query("begin"));
    await inside[1]?.ready();
    inside[2]?.send(say.query("show pool_clients"));
    await inside[2]?.ready();
    const states = rowsOf(inside[2] as RawClient).map((cells) => cells[8] ?? "");
    expect(states.toSorted()).toEqual([
      "active",
      ...Array.from({ length: 8 }, () => "idle"),
      "idle in transaction",
      "waiting for a place",
    ]);
    const shown = (await node.ask("clients")).stdout;
    expect(shown).toContain("10 clients, 1 waiting for a place");
    expect(shown).toMatch(/127\.0\.0\.1:\d+ +postgres +bench +waiting for a place/);
    expect((await node.ask("queues")).stdout).toMatch(/^places .* 1 +\d+\.\d s$/m);
    inside[2]?.send(say.query("show pool_queues"));
    await inside[2]?.ready(2);
    const queues = rowsOf(inside[2] as RawClient).slice(11);
    expect(queues.filter((cells) => cells[2] === "places")).toHaveLength(WORKERS);
    leave(inside[0]);
    await late.ready();
    await waiting(0);
    await until("it is counted", async () => (await node.status()).clients.waited > 0);
    const counts = (await node.status()).clients;
    expect(counts).toMatchObject({ refused: 0, timedOut: 0 });
  });

  test("client 11 gets 53300 with a hint after queue_timeout, and no sooner", async () => {
    await start("queue_timeout = 700ms", "authentication_timeout = 1s");
    await fill();
    const cameMs = performance.now();
    const late = await knock();
    await late.until(() => late.count("E") === 1, "an error");
    expect(performance.now() - cameMs).toBeGreaterThanOrEqual(700);
    expect(late.error()).toMatchObject({
      S: "FATAL",
      C: "53300",
      M: "Sorry, too many clients already",
      D: "All 10 places for clients of this node are taken, and none became free within 0.7 s.",
      H: expect.stringMatching(/num_init_children.*queue_timeout/) as string,
    });
    await late.closed();
    await until("it is counted", async () => (await node.status()).clients.timedOut === 1);
  });

  test("authentication_timeout does not run for those who wait", async () => {
    await start("authentication_timeout = 1s");
    const inside = await fill();
    const late = await knock();
    const sinceMs = performance.now();
    await until("longer than authentication_timeout", () => performance.now() - sinceMs > 1500);
    leave(inside[0]);
    await late.ready();
  });

  test("places become free to those who wait in the order of their coming", async () => {
    await start();
    const inside = await fill();
    const late = await queue(5);
    for (const [i, next] of late.entries()) {
      leave(inside[i]);
      await next.ready();
      expect(late.slice(i + 1).flatMap(({ frames }) => frames)).toEqual([]);
    }
  });

  test("one that goes away while it waits leaves the queue at once", async () => {
    await start("queue_max = 1");
    const inside = await fill();
    const [first] = (await queue(1)) as [RawClient];
    first.destroy();
    await waiting(0);
    const [second] = (await queue(1)) as [RawClient];
    leave(inside[0]);
    await second.ready();
  });

  test("more than queue_max do not wait, and a reload changes how many", async () => {
    await start("queue_max = 2");
    await fill();
    await queue(2);
    const refused = await knock();
    await refused.closed();
    expect(refused.error()).toMatchObject({
      C: "53300",
      H: expect.stringContaining("queue_max") as string,
    });
    const file = join(node.home, "pgpool.conf");
    writeFileSync(file, readFileSync(file, "utf8").replace("queue_max = 2", "queue_max = 3"));
    node.reload();
    await until("it is reloaded", () => node.log.includes("reload config files"));
    await knock();
    await waiting(3);
  });

  test("with reserved_connections nobody waits, and that many places are not given", async () => {
    await start("reserved_connections = 3");
    const inside = await fill(7);
    const late = await knock();
    await late.closed();
    expect(late.error()).toMatchObject({
      S: "FATAL",
      C: "53300",
      M: "Sorry, too many clients already",
      H: expect.stringContaining("reserved_connections") as string,
    });
    leave(inside[0]);
    await until("a place is free", async () => (await clients()).length === 6);
    await RawClient.login(node.port, USER);
  });

  test("a cancel request never waits", async () => {
    await start();
    const inside = await fill(9);
    const running = await RawClient.open(node.port);
    running.send(say.startUp(USER));
    await running.ready();
    const key = running.frames.find(({ type }) => type === "K")?.body as Buffer;
    running.frames.length = 0;
    running.send(say.query("select pg_sleep(60)"));
    await until("it runs", async () => {
      const sql = "select 1 from pg_stat_activity where query = 'select pg_sleep(60)'";
      return (await postgres.query(0, sql)).length === 1;
    });
    await queue(1);
    const cancel = await RawClient.open(node.port);
    const head = Buffer.from([0, 0, 0, 16, 4, 210, 22, 46]);
    cancel.send(Buffer.concat([head, key]));
    await running.ready();
    expect(running.error()["C"]).toBe("57014");
    expect(inside).toHaveLength(9);
  });

  test("the places of a killed worker go to those who wait", async () => {
    await start();
    const inside = await fill();
    const late = await queue(4);
    const served = (await clients()).filter(({ state }) => state === "idle");
    const pids = served.map(({ workerPid }) => workerPid);
    const killed = pids[0] as number;
    process.kill(killed, "SIGKILL");
    const isGone = (client: RawClient): boolean => client.isClosed;
    const lostCount = pids.filter((pid) => pid === killed).length;
    await until("its clients are gone", () => inside.filter(isGone).length === lostCount);
    await until("its places are used again", () => {
      const waitsCount = late.filter((one) => !one.isClosed && one.count("Z") === 0).length;
      return waitsCount === 0 || late.filter((one) => one.count("Z") === 1).length === lostCount;
    });
    const left = [...inside, ...late].filter((client) => !client.isClosed);
    // Those that waited beside it as well; whoever comes now fills up the rest and one more waits.
    const more = await Promise.all(Array.from({ length: 14 - left.length }, () => knock()));
    const all = [...left, ...more];
    await until("ten are served, and the others wait", async () => {
      const states = (await clients()).map(({ state }) => state);
      return (
        states.filter((state) => state === "idle").length === 10 &&
        states.filter((state) => state === "waiting for a place").length === 4
      );
    });
    expect(all.filter((client) => client.isClosed)).toEqual([]);
  });

  test("a storm of 200 clients is served in turn, never more than ten at once", async () => {
    await start("queue_max = 200", "max_pool = 1");
    let inside = 0;
    let most = 0;
    const visit = async (): Promise<void> => {
      const client = await RawClient.login(node.port, USER);
      inside += 1;
      most = Math.max(most, inside);
      client.send(say.query("select 1"));
      await client.ready();
      inside -= 1;
      leave(client);
      await client.closed();
    };
    await Promise.all(Array.from({ length: 200 }, visit));
    expect(most).toBeLessThanOrEqual(10);
    await until("it is counted", async () => (await node.status()).clients.waited > 0);
    const counts = (await node.status()).clients;
    expect(counts).toMatchObject({ refused: 0, timedOut: 0 });
  }, 60_000);

  test("a stop tells those who wait why, and a polite one waits for those inside only", async () => {
    await start();
    const inside = await fill();
    const late = await queue(2);
    const silent = await RawClient.open(node.port);
    node.signal("SIGTERM");
    for (const client of late) {
      await client.closed();
      expect(client.error()).toMatchObject({ S: "FATAL", C: "57P01" });
    }
    silent.send(say.startUp(USER));
    await silent.closed();
    expect(silent.error()).toMatchObject({ S: "FATAL", C: "57P01" });
    inside.forEach(leave);
    await node.ended;
  });
});

describe("client_idle_limit", () => {
  test("ends a client that says nothing, also in a transaction, in Pgpool-II's words", async () => {
    await start("client_idle_limit = 2");
    const [idle, open, busy] = (await fill(3)) as [RawClient, RawClient, RawClient];
    busy.send(say.query("select pg_sleep(6)"));
    open.send(say.query("begin"));
    await open.ready();
    open.frames.length = 0;
    const sinceMs = performance.now();
    for (const client of [idle, open]) {
      await client.closed();
      expect(client.error()).toMatchObject({
        S: "FATAL",
        C: "57000",
        M: "unable to read data",
        D: "child connection forced to terminate due to client_idle_limit:2 is reached",
      });
    }
    expect(performance.now() - sinceMs).toBeGreaterThanOrEqual(1900);
    await busy.ready();
    expect(busy.count("E")).toBe(0);
  });
});

describe("kept server connections", () => {
  const SQL = "select pid from pg_stat_activity where datname = 'bench' order by pid";

  async function pids(): Promise<unknown[]> {
    return (await postgres.query(0, SQL)).map(({ pid }) => pid);
  }

  /** A client that comes, asks and goes; until its server connection is kept or closed. */
  async function visit(): Promise<number> {
    const client = await node.client();
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
    await client.end();
    await until("nobody is inside", async () => (await clients()).length === 0);
    const before = SQL.replace("order", "and query like '%pg_backend_pid%' order");
    await until("it is reset", async () => (await postgres.query(0, before)).length === 0);
    return rows[0]?.pid ?? 0;
  }

  test("are closed when nobody used them for child_life_time", async () => {
    await start("child_life_time = 1", "num_workers = 1");
    const pid = await visit();
    expect(await pids()).toEqual([pid]);
    await until("it is closed", async () => (await pids()).length === 0);
  });

  test("are closed after child_max_connections clients", async () => {
    await start("child_max_connections = 2", "num_workers = 1");
    const seen = [await visit(), await visit(), await visit()];
    expect(seen[1]).toBe(seen[0]);
    expect(seen[2]).not.toBe(seen[0]);
  });

  test("are closed when a statement of reset_query_list fails", async () => {
    await start("reset_query_list = 'DISCARD ALL; select 1/0'", "num_workers = 1");
    expect(await visit()).not.toBe(await visit());
    await until("both are closed", async () => (await pids()).length === 0);
  });

  test("are none without connection_cache", async () => {
    await start("connection_cache = off", "num_workers = 1");
    await visit();
    await until("it is closed", async () => (await pids()).length === 0);
  });
});

test("a client that waits at an address that leaves the node is told so", async () => {
  const worker = await startWorker({ postgres, config: ["num_init_children = 1"] });
  try {
    await RawClient.login(worker.port, USER);
    const late = await RawClient.open(worker.port);
    late.send(say.startUp(USER));
    await worker.message(({ type }) => type === "place-wanted");
    worker.tell({ type: "vip-left", address: "127.0.0.1" });
    await late.closed();
    expect(late.error()).toMatchObject({ C: "57P01", M: expect.stringContaining("virtual IP") });
  } finally {
    await worker.stop();
  }
});

test("more than a thousand connections that say nothing push the oldest of them out", async () => {
  const worker = await startWorker({ postgres });
  try {
    const silent: RawClient[] = [];
    for (let i = 0; i < 1000; i += 1) silent.push(await RawClient.open(worker.port));
    const client = await RawClient.login(worker.port, USER);
    expect(silent[0]?.error()).toMatchObject({ C: "53300", D: expect.stringContaining("1000") });
    expect(silent.slice(1).some(({ isClosed }) => isClosed)).toBe(false);
    client.send(say.query("select 1"));
    await client.ready();
    for (const one of silent) one.destroy();
  } finally {
    await worker.stop();
  }
});
