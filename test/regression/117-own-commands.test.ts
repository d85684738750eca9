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
  await postgres.query(0, "create role sharer superuser login");
  const config = ["num_workers = 2", "num_init_children = 8"];
  const sharing = "pool_mode_list = 'sharer/*:transaction'";
  node = await LoneNode.start({ postgres, config: [...config, sharing] });
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

test.each([
  ["session", "postgres"],
  ["transaction", "sharer"],
])(
  "a driver may prepare one under a name and execute it again, in a transaction too: in %s mode",
  async (_, user) => {
    const client = await node.client({ user });
    const show = { name: "nodes", text: "show pool_nodes", rows: 1 };
    await client.query("begin");
    expect((await client.query(show)).rows).toHaveLength(2);
    await client.query("commit");
    expect((await client.query(show)).rows).toHaveLength(2);
    await client.query("deallocate nodes");
    await client.end();
  },
);

/** As Pgpool-II 4.7 has them; 4.3.5 lacks the last four of POOL_POOLS. */
const COLUMNS: Readonly<Record<string, string>> = {
  pool_nodes:
    "node_id hostname port status pg_status lb_weight role pg_role select_cnt load_balance_node replication_delay replication_state replication_sync_state last_status_change",
  pool_processes:
    "pool_pid start_time client_connection_count database username backend_connection_time pool_counter status",
  pool_pools:
    "pool_pid start_time client_connection_count pool_id backend_id database username backend_connection_time client_connection_time client_disconnection_time client_idle_duration majorversion minorversion pool_counter pool_backendpid pool_connected status load_balance_node client_host client_port statement",
  pool_version: "pool_version",
  pool_cache:
    "num_cache_hits num_selects cache_hit_ratio num_hash_entries used_hash_entries num_cache_entries used_cache_entries_size free_cache_entries_size fragment_cache_entries_size",
  pool_health_check_stats:
    "node_id hostname port status role last_status_change total_count success_count fail_count skip_count retry_count average_retry_count max_retry_count max_duration min_duration average_duration last_health_check last_successful_health_check last_skip_health_check last_failed_health_check",
  pool_backend_stats:
    "node_id hostname port status role select_cnt insert_cnt update_cnt delete_cnt ddl_cnt other_cnt panic_cnt fatal_cnt error_cnt",
  pool_status: "item value description",
};

test.each(Object.entries(COLUMNS))("SHOW %s has Pgpool-II's columns", async (name, columns) => {
  const client = await node.client();
  const simple = await client.query(`show ${name}`);
  expect(simple.fields.map((field) => field.name).join(" ")).toBe(columns);
  expect(simple.rows.length).toBeGreaterThan(0);
  const both = await extended(`show ${name}`);
  expect(both.fields.map((field) => field.name)).toEqual(simple.fields.map((field) => field.name));
  // One more connection is there when the second client asks.
  if (name !== "pool_pools") expect(both.rows).toHaveLength(simple.rows.length);
  await client.end();
});

test("statements are counted over all workers, as soon as they were sent", async () => {
  const select = async (id: number): Promise<number> =>
    Number((await extended("show pool_backend_stats")).rows[id]?.select_cnt);
  const before = (await select(0)) + (await select(1));
  const clients = await Promise.all(Array.from({ length: 6 }, () => node.client()));
  const inside = (await extended("show pool_clients")).rows;
  expect(new Set(inside.map(({ worker }) => worker)).size).toBe(2);
  for (const client of clients) {
    await client.query("select 1");
    await client.query({ text: "select $1::int", values: [1] });
    await client.query("select nothing").catch(() => undefined);
  }
  expect((await select(0)) + (await select(1)) - before).toBe(18);
  const { rows } = await extended("show pool_backend_stats");
  expect(Number(rows[0].error_cnt) + Number(rows[1].error_cnt)).toBe(6);
  await Promise.all(clients.map((client) => client.end()));
});

test("a client is seen among the processes and pools, with num_init_children rows", async () => {
  const client = await node.client({ application_name: "seen" });
  await client.query("select 1");
  const { rows } = await client.query("show pool_processes");
  expect(rows).toHaveLength(8);
  expect(rows.filter(({ status }) => status === "Execute command")).toMatchObject([
    { database: "bench", username: "postgres" },
  ]);
  const pools = (await client.query("show pool_pools")).rows;
  const own = pools.filter(({ pool_connected: is }) => is === "1");
  const [{ pid }] = (await client.query("select pg_backend_pid() as pid")).rows;
  expect(own.map(({ pool_backendpid }) => Number(pool_backendpid))).toContain(pid);
  await client.end();
});

test("PGPOOL SHOW, SET and RESET act for the session, in both protocols", async () => {
  const client = await node.client();
  const show = async (): Promise<unknown> =>
    (await client.query("pgpool show client_idle_limit")).rows[0]?.client_idle_limit;
  expect(await show()).toBe("0");
  expect((await client.query("pgpool set client_idle_limit to '2min'")).command).toBe("SET");
  expect(await show()).toBe("2min");
  expect((await extended("pgpool show client_idle_limit")).rows).toEqual([
    { client_idle_limit: "0" },
  ]);
  expect((await client.query("pgpool reset all")).command).toBe("RESET");
  expect(await show()).toBe("0");
  expect((await extended("pgpool show backend")).rows[0]).toMatchObject({
    item: "backend_hostname0",
  });
  for (const [text, code, message] of [
    [
      "pgpool set port to 3",
      "55P02",
      'invalid Context, value for parameter "port" cannot be changed',
    ],
    ["pgpool show nosuch", "42704", 'config variable "nosuch" not found'],
    ["pgpool reset nosuch", "42704", 'unrecognized configuration parameter "nosuch"'],
    [
      "pgpool set client_idle_limit to foo",
      "22023",
      'invalid value for parameter "client_idle_limit": "foo"',
    ],
  ] as const) {
    await expect(client.query(text)).rejects.toMatchObject({ code, message });
    await expect(extended(text)).rejects.toMatchObject({ code, message });
  }
  await client.end();
});

test.each([
  ["session", "postgres", "simple"],
  ["session", "postgres", "extended"],
  ["transaction", "sharer", "simple"],
  ["transaction", "sharer", "extended"],
] as const)(
  "a command of ours that fails fails its transaction, as in PostgreSQL: in %s mode, for %s by %s queries",
  async (_, user, queryMode) => {
    const client = await node.client({ user });
    const ask = (text: string): Promise<pg.QueryResult> => {
      const query: pg.QueryConfig & { queryMode: string } = { text, queryMode };
      return client.query(query);
    };
    await client.query("create temp table kept (a int)");
    await expect(ask("pgpool show nosuch")).rejects.toMatchObject({ code: "42704" });
    for (const wrong of ["pgpool show nosuch", "pgpool nonsense", "set pgquorum.lsn = 1"]) {
      await ask("begin");
      await ask("insert into kept values (1)");
      await expect(ask(wrong)).rejects.toThrow();
      await expect(ask("select 1")).rejects.toMatchObject({ code: "25P02" });
      await expect(ask("show pool_version")).rejects.toMatchObject({ code: "25P02" });
      expect((await ask("commit")).command).toBe("ROLLBACK");
    }
    await ask("begin");
    await ask("savepoint s");
    await expect(ask("pgpool show nosuch")).rejects.toThrow();
    await ask("rollback to s");
    await ask("insert into kept values (2)");
    expect((await ask("commit")).command).toBe("COMMIT");
    expect((await ask("select a from kept")).rows).toEqual([{ a: 2 }]);
    await client.end();
  },
);

test("PGPOOL SET CACHE DELETE says that the query is not cached, in both protocols", async () => {
  const client = await node.client();
  const notices: string[] = [];
  client.on("notice", ({ message }) => notices.push(message ?? ""));
  for (const queryMode of ["simple", "extended"]) {
    const query: pg.QueryConfig & { queryMode: string } = {
      text: "pgpool set cache delete 'select ''a'';'",
      queryMode,
    };
    expect((await client.query(query)).command).toBe("SET");
  }
  const notice = `query cache does not exist for query: "select 'a';"`;
  expect(notices).toEqual([notice, notice]);
  await client.end();
});

test("PGPOOL SET client_idle_limit ends this session when it is idle, and no other", async () => {
  const [client, other] = [await node.client(), await node.client()];
  const ended = new Promise((resolve) => {
    client.once("end", resolve);
  });
  await client.query("pgpool set client_idle_limit to 1");
  await ended;
  expect((await other.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  await other.end();
});

test.each(["session", "transaction"])(
  "statements and messages are logged as Pgpool-II logs them, for one session: in %s mode",
  async (mode) => {
    // Transaction mode by the name of the user.
    const user = mode === "session" ? "postgres" : "sharer";
    const client = await node.client({ application_name: `logged in ${mode}`, user });
    const notices: string[] = [];
    client.on("notice", ({ message }) => notices.push(message ?? ""));
    for (const name of ["log_statement", "log_per_node_statement", "notice_per_node_statement"]) {
      await client.query(`pgpool set ${name} to on`);
    }
    await client.query("pgpool set log_client_messages to on");
    await client.query("pgpool set log_backend_messages to terse");
    await client.query("create temp table shown (a int)");
    await client.query({ name: "n1", text: "select $1::int as a from shown", values: [1] });
    await client.end();
    const isOver = (): boolean =>
      node.log
        .split("\n")
        .some((line) => line.includes(mode) && line.includes("Terminate message"));
    await until("the end is logged", () => Promise.resolve(isOver()));
    const lines = node.log
      .split("\n")
      .filter((line) => line.includes(`logged in ${mode} pid`) && !line.includes("pgpool set"))
      .map((line) =>
        line.replace(/^.*?pid \d+: /, "").replace(/backend pid: \d+/, "backend pid: N"),
      );
    const start = lines.findIndex((line) => line.includes("create temp table"));
    expect(lines.slice(start)).toEqual([
      'DETAIL:  query: "create temp table shown (a int)"',
      "LOG:  statement: create temp table shown (a int)",
      "LOG:  DB node id: 0 backend pid: N statement: create temp table shown (a int)",
      "LOG:  CommandComplete message from backend 0",
      "LOG:  ReadyForQuery message from backend 0",
      "LOG:  Parse message from frontend.",
      'DETAIL:  statement: "n1", query: "select $1::int as a from shown"',
      "LOG:  DB node id: 0 backend pid: N statement: Parse: select $1::int as a from shown",
      "LOG:  Bind message from frontend.",
      'DETAIL:  portal: "", statement: "n1"',
      "LOG:  DB node id: 0 backend pid: N statement: Bind: select $1::int as a from shown",
      "LOG:  Describe message from frontend.",
      'DETAIL:  portal: ""',
      "LOG:  DB node id: 0 backend pid: N statement: D message",
      "LOG:  Execute message from frontend.",
      'DETAIL:  portal: ""',
      "LOG:  statement: select $1::int as a from shown",
      "LOG:  DB node id: 0 backend pid: N statement: Execute: select $1::int as a from shown",
      "LOG:  Sync message from frontend.",
      "LOG:  ParseComplete message from backend 0",
      "LOG:  BindComplete message from backend 0",
      "LOG:  RowDescription message from backend 0",
      "LOG:  CommandComplete message from backend 0",
      "LOG:  ReadyForQuery message from backend 0",
      "LOG:  Terminate message from frontend.",
    ]);
    expect(notices).toContain("DB node id: 0 statement: create temp table shown (a int)");
  },
);

test("PGPOOL EXPLAIN ROUTE says where a statement would go, and why, in both protocols", async () => {
  const client = await node.client();
  const items = (rows: pg.QueryResult["rows"]): Record<string, string> =>
    Object.fromEntries(rows.map(({ item, value }) => [item, value]));
  const text = "pgpool explain route insert into t values (1)";
  expect(items((await client.query(text)).rows)).toMatchObject({ rule: "kind", node: "0" });
  expect(items((await extended(text)).rows)).toMatchObject({ rule: "kind", node: "0" });
  await client.query("begin");
  const inside = await client.query("pgpool explain route select 1");
  expect(items(inside.rows)).toMatchObject({ rule: "transaction" });
  await client.end();
});

test("pgquorum explain-routing names the function, its volatility, the list and the node", async () => {
  await postgres.query(
    0,
    `create function my_func(int) returns int language sql volatile as 'select 1';
     create function my_stable(int) returns int language sql stable as 'select 1'`,
    "bench",
  );
  const explain = async (sql: string, ...args: readonly string[]): Promise<string> =>
    (await node.ask("explain-routing", sql, "--database", "bench", ...args)).stdout;
  const volatile = await explain("select my_func(1)");
  expect(volatile).toMatch(/^node +0$/m);
  expect(volatile).toMatch(/^rule +function$/m);
  expect(volatile).toMatch(/^function +my_func, which may write$/m);
  expect(volatile).toMatch(/^its volatility +volatile$/m);
  expect(volatile).toMatch(/^decided by +pg_proc, as neither/m);
  const stable = await explain("select my_stable(1)");
  expect(stable).toMatch(/^rule +read$/m);
  expect(stable).toMatch(/^function +my_stable, which only reads$/m);
  expect(stable).toMatch(/^its volatility +stable$/m);
  const options = ["--in-transaction", "--after-write", "--json"];
  expect(await explain("select 1", ...options)).toContain('"transaction"');
  const client = await node.client();
  for (const queryMode of ["simple", "extended"] as const) {
    const config: pg.QueryConfig & { queryMode: string } = {
      text: "pgpool explain route select my_stable(1), my_func(2)",
      queryMode,
    };
    const { rows } = await client.query(config);
    expect(rows).toContainEqual({ item: "function", value: "my_func, which may write" });
    expect(rows).toContainEqual({ item: "its volatility", value: "stable" });
  }
  await client.end();
});

test("Pgpool-II's own pcp clients see the connections of a node, and its health checks", async () => {
  const config = ["pgpool_compat_version = '4.3'", "num_workers = 2", "health_check_period = 1"];
  const old = await LoneNode.start({ postgres, config });
  try {
    const client = await old.client();
    const [{ pid }] = (await client.query("select pg_backend_pid() as pid")).rows;
    const fields = (await old.pcp("pcp_proc_info")).stdout.split("\n")[0]?.split(" ") ?? [];
    expect(fields.slice(0, 2)).toEqual(["bench", "postgres"]);
    expect((await old.pcp("pcp_proc_info", "-v")).stdout).toContain(`: ${pid}\n`);
    const pids = (await old.pcp("pcp_proc_count")).stdout.trim().split(" ");
    const rows = await Promise.all(pids.map((one) => old.pcp("pcp_proc_info", "-a", "-P", one)));
    expect(rows.map(({ stdout }) => stdout).join("")).toContain(` ${pid} `);
    await until("a check has succeeded", async () => {
      const { stdout } = await old.pcp("pcp_health_check_stats", "-n", "0");
      return /^0 127\.0\.0\.1 \d+ up primary \S+ \S+ [1-9]\d* [1-9]/.test(stdout);
    });
    await client.end();
  } finally {
    await old.remove();
  }
});

test("what a worker counted is kept when it is killed", async () => {
  const client = await node.client();
  for (let i = 0; i < 50; i += 1) await client.query("select 1");
  const inside = (await client.query("show pool_clients")).rows;
  const pid = inside.find(({ backends }) => backends !== "")?.worker_pid;
  const counted = async (): Promise<number> => {
    const { rows } = await extended("show pool_backend_stats");
    return Number(rows[0].select_cnt) + Number(rows[1].select_cnt);
  };
  const before = await counted();
  const lost = new Promise((resolve) => client.once("end", resolve));
  await until("the supervisor has heard of it by itself", async () => {
    const { view } = await node.status();
    return view.backends.reduce((sum, { selectCount }) => sum + selectCount, 0) === before;
  });
  process.kill(Number(pid), "SIGKILL");
  await lost;
  await until("the worker is there again", async () => {
    const { workers } = await node.status();
    return workers.restarts === 1;
  });
  expect(await counted()).toBeGreaterThanOrEqual(before);
});
