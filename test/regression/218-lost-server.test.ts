/** A whole node whose clients all see the same trouble with a server at once. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";

const CLIENTS = 30;

let postgres: PostgresCluster;
let node: LoneNode | null = null;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 1 });
}, 120_000);

afterEach(async () => {
  await node?.remove();
  node = null;
});

afterAll(() => postgres.stop());

async function startNode(...config: readonly string[]): Promise<LoneNode> {
  node = await LoneNode.start({
    postgres,
    config: ["sr_check_period = 1", "failover_on_backend_error = on", ...config],
  });
  return node;
}

async function connected(to: LoneNode): Promise<readonly pg.Client[]> {
  const database = "postgres";
  const clients = Array.from({ length: CLIENTS }, () =>
    to.client({ database, application_name: "reader" }),
  );
  return await Promise.all(clients);
}

function postmasterPid(index: number): number {
  const directory = postgres.servers[index]?.dataDirectory ?? "";
  return Number(readFileSync(join(directory, "postmaster.pid"), "utf8").split("\n")[0]);
}

async function stateOf(of: LoneNode, id: number): Promise<string | undefined> {
  return (await of.status()).view.backends[id]?.state;
}

function linesOf(of: LoneNode, text: string): number {
  return of.log.split("\n").filter((line) => line.includes(text)).length;
}

/** Statements of all clients, over and over, whatever becomes of them, until told to stop. */
function keepAsking(clients: readonly pg.Client[]): () => Promise<void> {
  const over = new AbortController();
  const all = clients.map(async (client) => {
    while (!over.signal.aborted) {
      await client.query("SELECT 1").catch(() => undefined);
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    }
  });
  return async () => {
    over.abort();
    await Promise.all(all);
    for (const client of clients) await client.end().catch(() => undefined);
  };
}

/** Connections of clients, by way of the node. */
async function readersOf(index: number): Promise<number> {
  const sql = `SELECT count(*)::int AS count FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND application_name = 'reader'`;
  const [row] = await postgres.query(index, sql);
  return Number(row?.["count"] ?? 0);
}

async function startAgain(index: number): Promise<void> {
  await until("the server starts again", () =>
    postgres.startServer(index).then(
      () => true,
      () => false,
    ),
  );
}

describe("a standby that all clients lose at once", () => {
  it.each([
    ["the health check", "health_check_period = 60"],
    ["the clients alone", "health_check_period = 0"],
  ])("is asked to be detached once, on the word of %s", async (_by, period) => {
    const own = await startNode(period, "health_check_max_retries = 5", "health_check_timeout = 5");
    const stop = keepAsking(await connected(own));
    await until("clients read there", async () => (await readersOf(1)) > 3);
    process.kill(postmasterPid(1), "SIGKILL");
    await until("it is detached", async () => (await stateOf(own, 1)) === "down");
    await stop();
    expect(linesOf(own, "received degenerate backend request for node_id: 1")).toBe(1);
    expect(linesOf(own, "a client session found trouble")).toBeLessThan(5);
    await startAgain(1);
  });

  it("is not detached when it is merely restarted, though clients find nobody there", async () => {
    const own = await startNode("health_check_period = 60", "health_check_max_retries = 5");
    const stop = keepAsking(await connected(own));
    await until("clients read there", async () => (await readersOf(1)) > 3);
    await postgres.stopServer(1, "fast");
    await until("it is missed", () => own.log.includes("failed to connect to PostgreSQL server"));
    await postgres.startServer(1);
    await until("it is seen again", async () => {
      const { backends } = (await own.status()).view;
      return backends[1]?.pgStatus === "up";
    });
    await stop();
    expect(await stateOf(own, 1)).toBe("up");
    expect(own.log).not.toContain("received degenerate backend request");
  });
});

describe("a server that is told to stop when its last client has left", () => {
  it("does so although the node watches it by connections of its own", async () => {
    const own = await startNode("health_check_period = 1", "health_check_max_retries = 20");
    await until("it is compared with the primary", async () => {
      return (await own.status()).view.backends[1]?.pgRole === "standby";
    });
    const rows = await postgres.query(
      1,
      "SELECT count(*)::int AS count FROM pg_stat_activity WHERE application_name = 'pgquorum'",
    );
    expect(rows[0]?.["count"]).toBeGreaterThan(0);
    await postgres.stopServer(1, "smart");
    expect(await stateOf(own, 1)).not.toBe("down");
    await startAgain(1);
  });
});
