import { readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  programPath,
  runAsPostgres,
  startPostgres,
  type PostgresCluster,
} from "../support/postgres.ts";
import { until } from "../support/loopback-cluster.ts";
import { RawClient, say } from "../support/raw-client.ts";
import { pause, startWorker, type WorkerHarness } from "../support/worker-harness.ts";

let postgres: PostgresCluster;
let worker: WorkerHarness;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 2 });
  await postgres.query(0, "create database bench");
  await postgres.query(0, "create table t (a int, b text)", "bench");
  await postgres.caughtUp();
});

afterAll(async () => {
  await postgres?.stop();
});

// All reads go to backend 1, so that a test knows where a statement is.
const WEIGHTS = [0, 1, 0];

beforeEach(async () => {
  worker = await startWorker({ postgres, weights: WEIGHTS });
});

afterEach(async () => {
  await worker.stop();
});

const NODE = "select current_setting('cluster_name') as name";

async function nodeOf(client: pg.Client): Promise<unknown> {
  return ((await client.query(NODE)).rows as { name: string }[])[0]?.name;
}

/** Ends the backends of this database that run a statement like `pattern`. */
async function terminate(index: number, pattern: string): Promise<void> {
  const sql = `select pg_terminate_backend(pid) from pg_stat_activity
    where datname = 'bench' and query like '${pattern}' and pid <> pg_backend_pid()`;
  for (let round = 0; round < 100; round += 1) {
    if ((await postgres.query(index, sql)).length > 0) return;
    await pause(50);
  }
  throw new Error(`nothing like ${pattern} runs on ${index}`);
}

describe("a client that does not wait to be let in", () => {
  test("has its statements answered in order, however many came with the start-up packet", async () => {
    const client = await RawClient.open(worker.port);
    const statements = Array.from({ length: 3000 }, (_, i) => say.query(`select ${i}`));
    client.send(say.startUp({ user: "postgres", database: "bench" }), ...statements);
    await client.ready(3001);
    const rows = client.frames.filter((frame) => frame.type === "D");
    expect(rows.map((row) => Number(row.body.toString("latin1", 6)))).toEqual(
      statements.map((_, i) => i),
    );
    client.socket.destroy();
  });
});

describe("routing in a session", () => {
  test("reads go to the standby, writes and all that follows in a transaction to the primary", async () => {
    const client = await worker.client();
    expect(await nodeOf(client)).toBe("node1");
    await client.query("begin");
    expect(await nodeOf(client)).toBe("node1");
    await client.query("insert into t values (1, 'x')");
    expect(await nodeOf(client)).toBe("");
    await client.query("commit");
    expect(await nodeOf(client)).toBe("node1");
    await client.end();
  });

  test("a SET holds also on a standby that comes up after it", async () => {
    const { backends } = worker.view;
    const isDown = (one: (typeof backends)[number]): typeof one =>
      one.id === 0 ? one : { ...one, state: "down" };
    // It has been given a standby, but is not connected to it yet.
    const client = await worker.client();
    try {
      worker.change({ backends: backends.map(isDown) });
      await worker.applied();
      await client.query("set work_mem = '7MB'");
      await client.query("begin");
      await client.query("set application_name = 'O''Brien'");
      await client.query("commit");
      await client.query("set app.mine = 'mine'");
      worker.change({ backends });
      await worker.applied();
      const look = `select current_setting('cluster_name') as node, current_setting('work_mem') as mem,
        current_setting('application_name') as name, current_setting('app.mine') as mine`;
      await until("reads are at the standby", async () => {
        const { rows } = (await client.query(look)) as { rows: { node: string }[] };
        expect(rows).toMatchObject([{ mem: "7MB", name: "O'Brien", mine: "mine" }]);
        return rows[0]?.node === "node1";
      });
      await client.query("set work_mem = '8MB'");
      const { rows } = (await client.query(look)) as { rows: object[] };
      expect(rows).toMatchObject([{ node: "node1", mem: "8MB" }]);
    } finally {
      await client.end();
    }
  });

  test("a SET holds on every backend that a read may go to", async () => {
    const client = await worker.client();
    await client.query("set work_mem = '7MB'");
    const show = async (): Promise<unknown> =>
      (await client.query("select current_setting('work_mem') as v")).rows;
    expect(await show()).toEqual([{ v: "7MB" }]);
    await client.query("begin");
    expect(await show()).toEqual([{ v: "7MB" }]);
    await client.query("set work_mem = '9MB'");
    await client.query("commit");
    expect(await show()).toEqual([{ v: "9MB" }]);
    await client.end();
  });

  test("a statement that is prepared on the standby runs in a transaction as well", async () => {
    const client = await worker.client();
    const prepared = { name: "where", text: NODE };
    expect((await client.query(prepared)).rows).toEqual([{ name: "node1" }]);
    await client.query("begin");
    await client.query("insert into t values (1, 'y')");
    expect((await client.query(prepared)).rows).toEqual([{ name: "" }]);
    await client.query("commit");
    expect((await client.query(prepared)).rows).toEqual([{ name: "node1" }]);
    await client.query('deallocate "where"');
    await client.end();
  });

  test("statement_level_load_balance chooses anew for each read", async () => {
    await worker.stop();
    const config = ["statement_level_load_balance = on"];
    worker = await startWorker({ postgres, weights: [1, 1, 1], config });
    const client = await worker.client();
    const seen = new Set<unknown>();
    for (let i = 0; i < 60; i += 1) seen.add(await nodeOf(client));
    expect(seen).toEqual(new Set(["", "node1", "node2"]));
    await client.end();
  });

  test("the next client of a pooled connection finds it like new", async () => {
    const first = await worker.client({ application_name: "pooled" });
    await first.query("set work_mem = '8MB'");
    await first.query("create temp table leftover (a int)");
    await first.query("begin");
    await first.end();
    await pause(300);
    const second = await worker.client({ application_name: "pooled" });
    const { rows } = await second.query(
      "select current_setting('work_mem') as v, to_regclass('leftover') as r",
    );
    expect(rows).toEqual([{ v: "4MB", r: null }]);
    await second.end();
  });
});

describe("streams", () => {
  test("COPY FROM STDIN and TO STDOUT carry 20 MB, also to a reader that is slow", async () => {
    const client = await RawClient.login(worker.port);
    await postgres.query(0, "truncate t", "bench");
    client.send(say.query("copy t from stdin"));
    await client.until(() => client.count("G") === 1, "CopyInResponse");
    const row = Buffer.from(`1\t${"x".repeat(990)}\n`);
    const chunk = say.copyData(Buffer.concat(Array.from({ length: 20 }, () => row)));
    for (let i = 0; i < 1000; i += 1) {
      if (!client.socket.write(chunk)) {
        await new Promise((resolve) => client.socket.once("drain", resolve));
      }
    }
    client.send(say.copyDone());
    await client.ready();
    expect(client.frames.find((frame) => frame.type === "C")?.body.toString()).toBe("COPY 20000\0");
    client.destroy();
    await postgres.caughtUp();

    const before = residentKib(worker.child.pid);
    const reader = await RawClient.login(worker.port);
    reader.socket.pause();
    reader.send(say.query("copy t to stdout"));
    await pause(1000);
    const held = residentKib(worker.child.pid) - before;
    reader.socket.resume();
    await reader.ready();
    expect(reader.count("d")).toBe(20_000);
    expect(held).toBeLessThan(8 * 1024);
    reader.destroy();
  });

  test("NOTIFY reaches an idle listener at once", async () => {
    const client = await worker.client();
    const heard = new Promise<string | undefined>((resolve) => {
      client.once("notification", (message) => resolve(message.payload));
    });
    await client.query("listen news");
    await postgres.query(0, "notify news, 'fresh'", "bench");
    expect(await heard).toBe("fresh");
    await client.end();
  });

  test("a replication connection reaches the primary", async () => {
    const line = `host=127.0.0.1 port=${worker.port} user=postgres replication=true`;
    const args = ["-X", "-At", "-c", "IDENTIFY_SYSTEM", "-d", line];
    const { stdout } = await runAsPostgres(programPath("psql"), args);
    expect(stdout).toMatch(/^\d+\|1\|[0-9A-F]+\/[0-9A-F]+\|/);
  });

  test("pg_dump and pg_basebackup work through it", async () => {
    const at = ["-h", "127.0.0.1", "-p", `${worker.port}`, "-U", "postgres"];
    const dump = await runAsPostgres(programPath("pg_dump"), [...at, "-s", "bench"]);
    expect(dump.stdout).toContain("CREATE TABLE public.t");
    const target = join(postgres.directory, "copy");
    const args = [...at, "-D", target, "-c", "fast", "-X", "stream"];
    await runAsPostgres(programPath("pg_basebackup"), args);
    expect(readFileSync(join(target, "PG_VERSION"), "utf8")).toBe("15\n");
  });
});

describe("cancelling", () => {
  test("the key that the client was given cancels its statement, on whatever backend", async () => {
    for (const sql of ["select pg_sleep(20)", "select count(*) from generate_series(1, 1e10)"]) {
      const client = await RawClient.open(worker.port);
      client.send(say.startUp({ user: "postgres", database: "bench" }));
      await client.ready();
      const key = client.frames.find((frame) => frame.type === "K")?.body ?? Buffer.alloc(8);
      client.frames.length = 0;
      client.send(say.query(sql));
      await pause(300);
      const other = await RawClient.open(worker.port);
      const code = Buffer.from([0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e]);
      other.send(Buffer.concat([code, key]));
      await other.closed();
      await client.ready();
      expect(client.error()).toMatchObject({ C: "57014" });
      client.destroy();
    }
  });

  test("a wrong key does nothing, and a key of another worker is passed on", async () => {
    const client = await RawClient.open(worker.port);
    client.send(say.startUp({ user: "postgres", database: "bench" }));
    await client.ready();
    const key = Buffer.from(client.frames.find((frame) => frame.type === "K")?.body ?? []);
    client.frames.length = 0;
    client.send(say.query("select pg_sleep(1)"));
    await pause(200);
    const code = Buffer.from([0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e]);
    key.writeInt32BE(key.readInt32BE(4) ^ 1, 4);
    const guess = await RawClient.open(worker.port);
    guess.send(Buffer.concat([code, key]));
    await guess.closed();
    key.writeInt32BE((2 << 20) | 7, 0);
    const foreign = await RawClient.open(worker.port);
    foreign.send(Buffer.concat([code, key]));
    const passedOn = await worker.message((message) => message.type === "cancel");
    const secretKey = key.subarray(4).toString("base64");
    expect(passedOn).toMatchObject({ processId: (2 << 20) | 7, secretKey });
    await client.ready();
    expect(client.types()).toBe("TDCZ");
    client.destroy();
  });
});

describe("backends that fail", () => {
  const LONG = "select 'mid-result', generate_series(1, 100000000)";

  test("one that goes in the middle of a result: no false byte follows, the worker lives", async () => {
    const client = await RawClient.login(worker.port);
    client.send(say.query(LONG));
    await client.until(() => client.frames.length > 1000, "rows");
    await terminate(1, "%mid-result%");
    // PostgreSQL may cut a row short: then the client just sees the end.
    await client.until(() => client.isClosed || client.count("Z") === 1, "the end");
    const kinds = client.types().replace(/^TD+/, "");
    expect(["", "E", "EZ"]).toContain(kinds);
    const next = await worker.client();
    expect(await nodeOf(next)).toBe("node1");
    await next.end();
  });

  test("one that is told to go while it works: its own words reach the client", async () => {
    const client = await RawClient.login(worker.port);
    client.send(say.query("begin"), say.query("insert into t values (1, 'z')"));
    await client.ready(2);
    client.send(say.query("select 'at work', count(*) from generate_series(1, 1e10)"));
    await terminate(0, "%at work%");
    await client.ready(3);
    expect(client.error()).toMatchObject({ V: "ERROR", C: "57P01" });
    const report = await worker.message((message) => message.type === "backend-error");
    expect(report).toMatchObject({ backendId: 0, cause: "shutdown" });
  });

  test("a standby that ends its connection while the session is idle is connected again", async () => {
    const client = await worker.client();
    await client.query("select 'idle one'");
    await terminate(1, "%idle one%");
    await until("reads are at the standby again", async () => (await nodeOf(client)) === "node1");
    await client.end();
  });

  test("a backend that is reported down ends the sessions that cannot do without it, and only those", async () => {
    const client = await worker.client();
    const states = (down: number): typeof worker.view.backends =>
      worker.view.backends.map((one) => (one.id === down ? { ...one, state: "down" } : one));
    worker.change({ backends: states(1) });
    await pause(200);
    expect(await nodeOf(client)).toBe("");
    const listener = await worker.client();
    await listener.query("listen news");
    const ended = new Promise<Error>((resolve) => {
      listener.once("error", resolve);
    });
    worker.change({ backends: states(0), primaryId: null });
    expect(await ended).toMatchObject({
      code: "57P01",
      detail: "backend 0 is down. With it are gone: LISTEN.",
    });
    expect(await nodeOf(client)).toBe("node2");
    await client.end();
  });

  test("without a primary reads work and writes are refused until there is one", async () => {
    await worker.stop();
    const config = ["failover_hold_timeout = 100"];
    worker = await startWorker({ postgres, weights: WEIGHTS, config });
    worker.change({
      primaryId: null,
      backends: worker.view.backends.map((one) => (one.id === 0 ? { ...one, state: "down" } : one)),
    });
    await worker.applied();
    const client = await worker.client();
    expect(await nodeOf(client)).toBe("node1");
    const write = client.query("insert into t values (3, 'y')");
    await expect(write).rejects.toMatchObject({ code: "57P03" });
    const extended = client.query("insert into t values ($1, 'y')", [3]);
    await expect(extended).rejects.toMatchObject({ code: "57P03" });
    expect(await nodeOf(client)).toBe("node1");
    worker.change({
      primaryId: 0,
      backends: worker.view.backends.map((one) => ({ ...one, state: "up" })),
    });
    await worker.applied();
    await client.query("insert into t values (3, 'y')");
    await client.end();
  });

  test("a refusal is what the client is told", async () => {
    const client = await worker.client();
    worker.change({ refusal: "this node has no quorum" });
    await worker.applied();
    await expect(client.query("select 1")).rejects.toMatchObject({
      code: "57P03",
      message: "this node has no quorum",
    });
    worker.change({ refusal: null });
    await worker.applied();
    expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  test("a backend that nobody listens for is reported, and the client hears which", async () => {
    const backends = worker.view.backends.map((one) => ({ ...one, port: 1 }));
    worker.change({ backends });
    await expect(worker.client()).rejects.toThrow(/could not connect to backend 0 \(127.0.0.1:1\)/);
    const report = await worker.message((message) => message.type === "backend-error");
    expect(report).toMatchObject({ backendId: 0, cause: "connect" });
  });
});

describe("the worker process", () => {
  test("bytes that are no message end that session only", async () => {
    const client = await RawClient.login(worker.port);
    client.send(Buffer.from("!garbage in the middle of a session"));
    await client.closed();
    expect(client.error()).toMatchObject({ V: "FATAL", C: "08P01" });
    const giant = await RawClient.login(worker.port);
    giant.send(Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff]));
    await giant.closed();
    expect(giant.error()).toMatchObject({ V: "FATAL", M: "invalid message length" });
    const next = await worker.client();
    await next.end();
  });

  test("stop smart waits for the client, stop fast tells it", async () => {
    const client = await worker.client();
    worker.tell({ type: "stop", mode: "smart" });
    await pause(200);
    await expect(worker.client()).rejects.toThrow(/ECONNREFUSED/);
    expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    const ended = new Promise<Error>((resolve) => {
      client.once("error", resolve);
    });
    worker.tell({ type: "stop", mode: "fast" });
    expect(await ended).toMatchObject({ code: "57P01" });
    expect(await worker.exited).toBe(0);
  });

  test("it ends when its channel closes", async () => {
    worker.child.disconnect();
    expect(await worker.exited).toBe(0);
  });

  test("it logs connections and statements in Pgpool-II's words", async () => {
    await worker.stop();
    const names = ["connections", "disconnections", "statement", "per_node_statement"];
    const config = [...names.map((name) => `log_${name} = on`), "log_line_prefix = ''"];
    worker = await startWorker({ postgres, weights: WEIGHTS, config });
    const client = await worker.client();
    await client.query("select 'logged'");
    await client.end();
    await pause(200);
    const log = worker.log();
    expect(log).toContain("LOG:  new connection received");
    expect(log).toMatch(/DETAIL: {2}connecting host=127\.0\.0\.1 port=\d+/);
    expect(log).toContain("LOG:  statement: select 'logged'");
    expect(log).toMatch(/LOG: {2}DB node id: 1 backend pid: \d+ statement: select 'logged'/);
    expect(log).toMatch(
      /LOG: {2}frontend disconnection: session time: 0:00:\d\d\.\d{3} user=postgres database=bench host=127\.0\.0\.1 port=\d+/,
    );
  });
});

function residentKib(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
}
