/**
 * The commands that a node answers itself, as clients see them: psql, and a driver that speaks the
 * extended protocol.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LoneNode } from "../support/lone-node.ts";
import { until } from "../support/loopback-cluster.ts";
import { programPath, startPostgres, type PostgresCluster } from "../support/postgres.ts";

let postgres: PostgresCluster;
let node: LoneNode;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 1 });
  await postgres.query(0, "create database bench");
  node = await LoneNode.start({ postgres, config: ["num_workers = 2", "num_init_children = 8"] });
});

afterAll(async () => {
  await node?.remove();
  await postgres?.stop();
});

function where(): string[] {
  return ["-X", "-h", "127.0.0.1", "-p", String(node.port), "-U", "postgres", "bench"];
}

/** By Parse, Bind, Describe and Execute. */
async function extended(text: string): Promise<pg.QueryResult> {
  const client = await node.client();
  try {
    const config: pg.QueryConfig & { queryMode: "extended" } = { text, queryMode: "extended" };
    return await client.query(config);
  } finally {
    await client.end();
  }
}

test("psql repeats SHOW POOL_NODES by \\watch", async () => {
  const child = spawn(programPath("psql"), [...where(), "-At"], { stdio: "pipe" });
  let shown = "";
  child.stdout.on("data", (chunk: Buffer) => (shown += chunk.toString()));
  child.stdin.write("show pool_nodes \\watch 0.1\n");
  await until("it was shown twice", () =>
    Promise.resolve(shown.split("\n0|127.0.0.1|").length > 2),
  );
  child.kill("SIGKILL");
  await once(child, "exit");
});

test("a driver gets the same answer by the extended protocol, as columns of type text", async () => {
  const result = await extended("show pool_nodes");
  expect(result.rows).toMatchObject([
    { node_id: "0", role: "primary" },
    { node_id: "1", role: "standby" },
  ]);
  expect(new Set(result.fields.map(({ dataTypeID }) => dataTypeID))).toEqual(new Set([25]));
});

test("a driver may prepare one under a name and execute it again, in a transaction too", async () => {
  const client = await node.client();
  const show = { name: "nodes", text: "show pool_nodes", rows: 1 };
  await client.query("begin");
  expect((await client.query(show)).rows).toHaveLength(2);
  await client.query("commit");
  expect((await client.query(show)).rows).toHaveLength(2);
  await client.query("deallocate nodes");
  await client.end();
});
