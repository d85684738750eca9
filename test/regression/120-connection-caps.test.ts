/**
 * `max_backend_connections`, `max_db_connections` and `max_user_connections`: exact over all workers
 * of a node, in both pool modes. PostgreSQL itself holds them to it: its roles may not have more.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import {
  programPath,
  runAsPostgres,
  startPostgres,
  type PostgresCluster,
} from "../support/postgres.ts";
import type { ClientRow, NodeList, QueueRow } from "../../src/wire/ipc/index.ts";

const WORKERS = 3;
const CAP = 4;

let postgres: PostgresCluster;
let node: LoneNode;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 0 });
  await postgres.query(0, "create database bench");
  await postgres.query(0, "create database other");
  for (const name of ["narrow", "wide"]) await postgres.query(0, `create role ${name} login`);
  await postgres.query(0, `alter role narrow connection limit ${CAP}`);
});

afterAll(async () => {
  await postgres?.stop();
});

afterEach(async () => {
  await node?.remove();
});

async function start(...config: readonly string[]): Promise<void> {
  const own = [`num_workers = ${WORKERS}`, "num_init_children = 60", "queue_timeout = 20s"];
  node = await LoneNode.start({ postgres, config: [...own, ...config] });
}

async function connections(where: string): Promise<number> {
  const text = `select count(*)::int as n from pg_stat_activity where backend_type = 'client backend' and ${where}`;
  const [row] = await postgres.query(0, text);
  return Number(row?.n);
}

async function list<Row>(what: "clients" | "queues"): Promise<readonly Row[]> {
  return (JSON.parse((await node.ask(what, "--json")).stdout) as NodeList<Row>).rows;
}

async function waiting(count: number): Promise<void> {
  await until(`${count} clients wait for a server`, async () => {
    const clients = await list<ClientRow>("clients");
    return clients.filter(({ state }) => state === "waiting for a backend").length === count;
  });
}

/** Sessions of the database that PostgreSQL has counted. */
async function sessionsSoFar(): Promise<number> {
  const text = "select sessions::int as n from pg_stat_database where datname = 'bench'";
  const [row] = await postgres.query(0, text);
  return Number(row?.n);
}

/** @returns at once; `inside` has those that were let in. */
function knock(count: number, inside: pg.Client[], own: pg.ClientConfig): Promise<unknown>[] {
  return Array.from({ length: count }, async () => {
    inside.push(await node.client(own));
  });
}

describe("in session mode", () => {
  test.each([
    ["max_user_connections", { user: "narrow" }],
    ["max_db_connections", { user: "narrow", database: "other" }],
    ["max_backend_connections", { user: "narrow" }],
  ])("%s is exact over all workers, and who is too many waits and is served", async (name, own) => {
    await start(`${name} = ${CAP}`, "connection_cache = off");
    const inside: pg.Client[] = [];
    const all = knock(3 * CAP, inside, own);
    await waiting(2 * CAP);
    expect(inside).toHaveLength(CAP);
    expect(await connections("usename = 'narrow'")).toBe(CAP);
    const queues = (await list<QueueRow>("queues")).filter(({ what }) => what === "connections");
    const sum = (field: "used" | "waiting"): number =>
      queues.reduce((total, row) => total + row[field], 0);
    expect([sum("used"), sum("waiting")]).toEqual([CAP, 2 * CAP]);
    expect(queues[0]).toMatchObject({ backendId: 0, user: "narrow", max: CAP });
    // PostgreSQL would refuse one too many, at any moment.
    for (let gone = 0; gone < 3 * CAP; gone += 1) {
      await until("the next one is inside", () => Promise.resolve(inside.length > gone));
      const client = inside[gone] as pg.Client;
      await client.query("select 1");
      await client.end();
    }
    await Promise.all(all);
  });

  test("idle connections make room for those who wait, in whatever worker they are", async () => {
    await start(`max_backend_connections = ${CAP}`);
    for (const user of ["wide", "narrow"]) {
      const inside: pg.Client[] = [];
      await Promise.all(knock(CAP, inside, { user }));
      await Promise.all(inside.map((client) => client.query("set work_mem = '5MB'")));
      await Promise.all(inside.map((client) => client.end()));
      await until("they are idle", async () => {
        return (await connections(`usename = '${user}' and state = 'idle'`)) === CAP;
      });
    }
    expect(await connections("usename = 'wide'")).toBe(0);
  });

  test("who has waited for too long is told why", async () => {
    await start("max_user_connections = 1", "queue_timeout = 300ms");
    const holder = await node.client({ user: "narrow" });
    await expect(node.client({ user: "narrow" })).rejects.toMatchObject({
      code: "53300",
      message: "no server connection became free within queue_timeout",
      detail: "It waited for 300 ms.",
      hint: expect.stringContaining("max_user_connections"),
    });
    const other = await node.client({ user: "wide" });
    await Promise.all([holder.end(), other.end()]);
  });

  test("who leaves while he waits gives up his turn; what a dead worker had is free", async () => {
    await start("max_user_connections = 1");
    const holder = await node.client({ user: "narrow" });
    const inside: pg.Client[] = [];
    const [early] = knock(1, inside, { user: "narrow", connectionTimeoutMillis: 500 });
    await expect(early).rejects.toThrow();
    const [later] = knock(1, inside, { user: "narrow" });
    await waiting(1);
    const mine = (await list<ClientRow>("clients")).find(({ state }) => state === "idle");
    process.kill(mine?.workerPid as number, "SIGKILL");
    const [outcome] = await Promise.allSettled([later]);
    // It may have waited in the same worker.
    if (outcome?.status === "rejected") await Promise.all(knock(1, inside, { user: "narrow" }));
    await inside[0]?.query("select 1");
    await inside[0]?.end();
    await holder.end().catch(() => undefined);
  });
});

describe("in transaction mode", () => {
  const mode = ["pool_mode = transaction", "pool_size = 30"];

  test.each(["", "-C"])("many clients share a few connections exactly: pgbench %s", async (how) => {
    await start(...mode, `max_user_connections = ${CAP}`);
    const at = `-h 127.0.0.1 -p ${node.port} -U narrow -n`;
    const script = join(node.home, "select.sql");
    await writeFile(script, "select 1;\n");
    const options = [...at.split(" "), "-f", script, ...(how === "" ? [] : [how])];
    const all = [...options, "-c", "24", "-j", "24", "-T", "3", "bench"];
    const before = await sessionsSoFar();
    const running = runAsPostgres(programPath("pgbench"), all);
    await until("every worker has a connection: none starves beside the others", async () => {
      const rows = (await list<QueueRow>("queues")).filter(({ what }) => what === "connections");
      return rows.filter(({ used, unused }) => used + unused > 0).length === WORKERS;
    });
    expect(await connections("usename = 'narrow'")).toBeLessThanOrEqual(CAP);
    const { stdout, stderr } = await running;
    const transactions = Number(/actually processed: (\d+)/.exec(stdout)?.[1]);
    // They take turns with the connections, and do not open them for each other all the time.
    expect((await sessionsSoFar()) - before).toBeLessThan(transactions / 4);
    expect(stdout).toContain("number of failed transactions: 0 (0.000%)");
    expect(stderr).not.toContain("error");
  });

  test("fewer connections than workers go from one to the other", async () => {
    await start(...mode, "max_backend_connections = 1");
    const inside: pg.Client[] = [];
    await Promise.all(knock(9, inside, { user: "narrow" }));
    const workers = new Set((await list<ClientRow>("clients")).map(({ worker }) => worker));
    expect(workers.size).toBe(WORKERS);
    const busy = inside.map(async (client) => {
      for (let i = 0; i < 20; i += 1) await client.query("select 1");
    });
    await Promise.all(busy);
    await Promise.all(inside.map((client) => client.end()));
    expect(await connections("usename = 'narrow'")).toBeLessThanOrEqual(1);
  });

  test("sessions of both modes are counted together", async () => {
    const sessions = "pool_mode_list = 'wide/*:session'";
    await start(...mode, sessions, `max_backend_connections = ${CAP}`);
    const inside: pg.Client[] = [];
    await Promise.all(knock(CAP - 1, inside, { user: "wide" }));
    const shared = await Promise.all([1, 2, 3].map(() => node.client({ user: "narrow" })));
    await Promise.all(shared.map((client) => client.query("select pg_sleep(0.1)")));
    expect(await connections("usename in ('wide', 'narrow')")).toBe(CAP);
    const [late] = knock(1, inside, { user: "wide" });
    await late; // The shared one, which is idle, has made room for it.
    expect(await connections("usename = 'wide'")).toBe(CAP);
    const statement = shared[0]?.query("select 1");
    await inside[0]?.end();
    await statement;
    await Promise.all([...inside.slice(1), ...shared].map((client) => client.end()));
  });
});
