import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  programPath,
  runAsPostgres,
  startPostgres,
  type PostgresCluster,
} from "../support/postgres.ts";
import { RawClient, say } from "../support/raw-client.ts";
import { pause, startWorker, type WorkerHarness } from "../support/worker-harness.ts";

let postgres: PostgresCluster;
let worker: WorkerHarness;

const POOL_SIZE = 4;
const PROTOCOL_3_2 = 0x30002;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 1 });
  await postgres.query(0, "create database bench");
  worker = await startWorker({
    postgres,
    weights: [0, 1],
    config: [
      "pool_mode = transaction",
      `pool_size = ${POOL_SIZE}`,
      "num_init_children = 300",
      "queue_timeout = 10s",
    ],
  });
  await pgbench("-i", "-q");
  await postgres.caughtUp();
});

afterAll(async () => {
  await worker?.stop();
  await postgres?.stop();
});

async function pgbench(...options: readonly string[]): Promise<string> {
  const at = ["-h", "127.0.0.1", "-p", `${worker.port}`, "-U", "postgres"];
  const all = [...at, ...options, "bench"];
  const { stdout, stderr } = await runAsPostgres(programPath("pgbench"), all);
  return stdout + stderr;
}

/** Client connections to the database on this server. */
async function backends(server: number): Promise<number> {
  const sql = `select count(*)::int as n from pg_stat_activity where datname = 'bench' and backend_type = 'client backend'`;
  const [row] = await postgres.query(server, sql);
  return Number(row?.["n"]);
}

describe("many clients over few server connections", () => {
  for (const mode of ["simple", "extended", "prepared"]) {
    test(`read with -M ${mode}`, async () => {
      const out = await pgbench("-n", "-S", "-M", mode, "-c", "100", "-t", "20");
      expect(out).toContain("number of failed transactions: 0");
      expect(out).toContain("number of transactions actually processed: 2000/2000");
      expect(await backends(0)).toBeLessThanOrEqual(POOL_SIZE);
      expect(await backends(1)).toBeLessThanOrEqual(POOL_SIZE);
    });

    test(`run TPC-B with -M ${mode}`, async () => {
      // A thread of pgbench waits for the answer to its Parse, and with it all of its clients.
      const out = await pgbench("-n", "-M", mode, "-c", "40", "-j", "40", "-t", "10");
      expect(out).toContain("number of failed transactions: 0");
      expect(await backends(0)).toBeLessThanOrEqual(POOL_SIZE);
    });
  }

  test("connect for every transaction", async () => {
    const out = await pgbench("-n", "-S", "-C", "-c", "20", "-t", "20");
    expect(out).toContain("number of failed transactions: 0");
    expect(await backends(1)).toBeLessThanOrEqual(POOL_SIZE);
  });
});

describe("a session", () => {
  test("may have another server process for every transaction, but not within one", async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, () => worker.client()));
    try {
      const pids = new Set<number>();
      for (const client of clients) {
        await client.query("begin");
        const first = await client.query("select pg_backend_pid() as pid");
        const second = await client.query("select pg_backend_pid() as pid");
        expect(second.rows[0].pid).toBe(first.rows[0].pid);
        pids.add(first.rows[0].pid);
        await client.query("commit");
      }
      expect(pids.size).toBeLessThanOrEqual(POOL_SIZE);
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
  });

  test("that leaves something behind keeps its server connection", async () => {
    const client = await worker.client();
    try {
      await client.query("create temp table mine (a int)");
      await client.query("insert into mine values (42)");
      await Promise.all(
        [1, 2, 3].map(async () => {
          const other = await worker.client();
          await other.query("begin");
          await expect(other.query("select a from mine")).rejects.toThrow(/does not exist/);
          await other.query("rollback");
          await other.end();
        }),
      );
      expect((await client.query("select a from mine")).rows).toEqual([{ a: 42 }]);
    } finally {
      await client.end();
    }
  });

  test.each(["begin", "begin; select 1/0"])(
    "whose client leaves after %s leaves nobody else in its transaction",
    async (statement) => {
      for (let round = 0; round < POOL_SIZE; round += 1) {
        const leaver = await worker.client();
        await leaver.query(statement).catch(() => undefined);
        await leaver.end();
        const next = await worker.client();
        // Refused where a transaction is open already.
        await next.query("discard all");
        await next.end();
      }
    },
  );

  test("keeps its client when PostgreSQL ends the connection between two transactions", async () => {
    const client = await worker.client();
    try {
      const sql = "create or replace view whoami as select pg_backend_pid() as pid";
      await client.query(sql);
      await postgres.query(
        0,
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = 'bench' and backend_type = 'client backend'",
      );
      // Whoever logs in now comes after the ends of those connections.
      await (await worker.client()).end();
      await client.query(sql);
    } finally {
      await client.end();
    }
    expect(worker.messages.filter((message) => message.type === "backend-error")).toEqual([]);
  });
});

describe("what a session has SET", () => {
  test("is there in every transaction, on either server, and is nobody else's", async () => {
    const [one, other] = [await worker.client(), await worker.client()];
    const show = async (client: pg.Client): Promise<unknown> => {
      const sql =
        "select current_setting('work_mem') as m, current_setting('app.who', true) as u, current_setting('TimeZone') as z";
      return Object.values((await client.query(sql)).rows[0]);
    };
    const initial = await show(other);
    try {
      await one.query("set work_mem = '7MB'; set app.who to 'it''s me'");
      await one.query("set time zone 'Asia/Tokyo'");
      for (let round = 0; round < 5; round += 1) {
        expect(await show(one)).toEqual(["7MB", "it's me", "Asia/Tokyo"]);
        expect(((await show(other)) as unknown[])[0]).toBe((initial as unknown[])[0]);
        await one.query("begin");
        expect(await show(one)).toEqual(["7MB", "it's me", "Asia/Tokyo"]);
        await one.query("set local work_mem = '9MB'");
        await one.query("commit");
        await other.query("begin");
        expect(((await show(other)) as unknown[])[2]).toBe((initial as unknown[])[2]);
        await other.query("commit");
      }
      await one.query("reset all");
      expect(((await show(one)) as unknown[])[0]).toBe((initial as unknown[])[0]);
    } finally {
      await Promise.all([one.end(), other.end()]);
    }
  });

  test("is told to its client where PostgreSQL reports it", async () => {
    const one = await RawClient.login(worker.port);
    const other = await RawClient.login(worker.port);
    one.send(say.query("set application_name = 'one'"));
    await one.ready();
    expect(reported(one)).toEqual([["application_name", "one"]]);
    one.frames.length = 0;
    for (let round = 0; round < 3; round += 1) {
      for (const client of [other, one]) {
        client.frames.length = 0;
        client.send(say.query("begin"), say.query("show application_name"), say.query("commit"));
        await client.ready(3);
        expect(reported(client)).toEqual([]);
        const row = client.frames.find((frame) => frame.type === "D");
        expect(row?.body.subarray(6).toString()).toBe(client === one ? "one" : "");
      }
    }
    one.destroy();
    other.destroy();
  });

  test("by the start-up packet is there as well, and a wrong one is refused at the door", async () => {
    const parameters = {
      user: "postgres",
      database: "bench",
      work_mem: "5MB",
      DateStyle: "German",
    };
    const client = await RawClient.open(worker.port);
    client.send(say.startUp(parameters));
    await client.ready();
    expect(reported(client)).toContainEqual(["DateStyle", "German, DMY"]);
    client.frames.length = 0;
    client.send(say.query("begin"), say.query("show work_mem"), say.query("commit"));
    await client.ready(3);
    expect(client.frames.find((frame) => frame.type === "D")?.body.toString()).toContain("5MB");
    client.send(say.query("set work_mem = '6MB'"), say.query("reset work_mem"));
    await client.ready(5);
    client.frames.length = 0;
    client.send(say.query("show work_mem"));
    await client.ready();
    expect(client.frames.find((frame) => frame.type === "D")?.body.toString()).toContain("5MB");
    client.destroy();
    const wrong = await RawClient.open(worker.port);
    wrong.send(say.startUp({ ...parameters, work_mem: "much" }));
    await wrong.closed();
    // As PostgreSQL says it, but for the line, which is its version's.
    expect(wrong.error()).toMatchObject({ S: "FATAL", V: "FATAL", C: "22023", F: "guc.c" });
    expect(wrong.error()).toHaveProperty("R");
    expect(wrong.error()).toHaveProperty("L");
  });
});

describe("what a session has changed in SQL", () => {
  test("is gone for it and for others after DEALLOCATE", async () => {
    const clients = await Promise.all(Array.from({ length: POOL_SIZE + 1 }, () => worker.client()));
    const [one] = clients as [pg.Client];
    try {
      await one.query("prepare gone as select 1 as n");
      expect((await one.query("execute gone")).rows).toEqual([{ n: 1 }]);
      await one.query("deallocate gone");
      await expect(one.query("execute gone")).rejects.toThrow(/"gone" does not exist/);
      await one.query("prepare gone as select 2 as n; select 1");
      await one.query("deallocate all");
      await expect(one.query("execute gone")).rejects.toThrow(/"gone" does not exist/);
      // Each of them takes another server connection.
      for (const client of clients.slice(1)) await client.query("begin; prepare gone as select 3");
      await Promise.all(clients.slice(1).map((client) => client.query("rollback; select 1")));
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
  });

  test("keeps its reads from the standby while its transactions are serializable", async () => {
    const client = await worker.client();
    const isStandby = async (): Promise<unknown> =>
      (await client.query("select current_setting('cluster_name') as n")).rows[0].n === "node1";
    try {
      expect(await isStandby()).toBe(true);
      await client.query("set session characteristics as transaction isolation level serializable");
      expect(await isStandby()).toBe(false);
      await client.query("reset default_transaction_isolation");
      expect(await isStandby()).toBe(true);
    } finally {
      await client.end();
    }
  });
});

describe("a prepared statement whose table has changed", () => {
  test("is prepared again unseen, on whatever connection it meets", async () => {
    const clients = await Promise.all(Array.from({ length: POOL_SIZE * 2 }, () => worker.client()));
    const [one] = clients as [pg.Client];
    try {
      await one.query("create table changing (a int); insert into changing values (1)");
      await postgres.caughtUp();
      const select = {
        name: "all of it",
        text: "select * from changing where a = $1",
        values: [1],
      };
      for (let column = 1; column <= 3; column += 1) {
        const results = await Promise.all(clients.map((client) => client.query(select)));
        for (const { rows } of results) expect(Object.keys(rows[0])).toHaveLength(column);
        await one.query(`alter table changing add column c${column} int default ${column}`);
        await postgres.caughtUp();
      }
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
  });

  test("is shown to a client that formats the old columns, on whatever connection", async () => {
    const client = await RawClient.login(worker.port);
    const others = await Promise.all(Array.from({ length: POOL_SIZE }, () => worker.client()));
    try {
      await others[0]?.query("create table counted (a int, b int)");
      client.send(say.parse("s", "select * from counted for update"), say.sync());
      await client.ready();
      await others[0]?.query("alter table counted add column c int");
      // No parameters, and text for two columns.
      const bind = say.any("B", Buffer.from("\0s\0\0\0\0\0\0\x02\0\0\0\0"));
      for (const other of others) {
        client.frames.length = 0;
        client.send(bind, say.execute(), say.sync());
        await client.ready();
        expect(client.error()).toMatchObject({ C: "0A000", R: "RevalidateCachedQuery" });
        // It keeps the connection that was used last: the next one is another.
        await other.query("begin; select txid_current()");
      }
    } finally {
      client.destroy();
      await Promise.all(others.map((other) => other.end()));
    }
  });

  test("fails in a transaction, as PostgreSQL has it, and works in the next one", async () => {
    const client = await worker.client();
    try {
      await client.query("create table changing2 (a int)");
      const select = { name: "all of it too", text: "select * from changing2", values: [] };
      await client.query("begin");
      await client.query("insert into changing2 values (1)"); // What follows is on the primary.
      await client.query(select);
      await client.query("commit");
      await client.query("alter table changing2 add column b int");
      await client.query("begin");
      await client.query("insert into changing2 values (1)"); // What follows is on the primary.
      await expect(client.query(select)).rejects.toMatchObject({ code: "0A000" });
      await client.query("rollback");
      await postgres.caughtUp();
      expect((await client.query(select)).fields).toHaveLength(2);
    } finally {
      await client.end();
    }
  });
});

describe("a connection that a session kept", () => {
  test.each([
    ["by LISTEN", ["listen them"], "select count(*)::int as n from pg_listening_channels()"],
    [
      "by a temporary table",
      ["create temp table mine (a int)"],
      "select count(*)::int as n from pg_class where relname = 'mine'",
    ],
    [
      "by a lock",
      ["select pg_advisory_lock(5)"],
      "select count(*)::int as n from pg_locks where locktype = 'advisory'",
    ],
    [
      "in a transaction",
      ["begin", "create table half (a int)"],
      "select count(*)::int as n from pg_class where relname = 'half'",
    ],
    [
      "that was just probed",
      ["set work_mem = '9MB'"],
      "select (current_setting('work_mem') = '9MB')::int as n",
    ],
  ])("%s serves others when it has ended, and is like new", async (_, texts, look) => {
    const narrow = await startWorker({
      postgres,
      weights: [1, 0],
      config: ["pool_mode = transaction", "pool_size = 1"],
    });
    try {
      const pid = "select pg_backend_pid() as pid";
      for (let round = 0; round < 3; round += 1) {
        const first = await narrow.client();
        const [mine] = (await first.query(pid)).rows as { pid: number }[];
        const { rows } = await first.query({ name: "again", text: "select 1 as one" });
        expect(rows).toEqual([{ one: 1 }]);
        for (const text of texts) await first.query(text);
        await first.end();
        const next = await narrow.client();
        expect((await next.query(look)).rows).toEqual([{ n: 0 }]);
        expect((await next.query(pid)).rows).toEqual([mine]);
        await next.query({ name: "again", text: "select 1 as one" });
        await next.end();
      }
    } finally {
      await narrow.stop();
    }
  });

  test("and loaded something into is closed", async () => {
    const narrow = await startWorker({
      postgres,
      weights: [1, 0],
      config: ["pool_mode = transaction", "pool_size = 1"],
    });
    try {
      const pid = "select pg_backend_pid() as pid";
      for (const begin of ["select 1", "begin"]) {
        const first = await narrow.client();
        const { rows } = await first.query(pid);
        await first.query(begin);
        await first.query("load 'plpgsql'");
        await first.end();
        const next = await narrow.client();
        expect((await next.query(pid)).rows).not.toEqual(rows);
        await next.end();
      }
    } finally {
      await narrow.stop();
    }
  });
});

describe("a paused backend", () => {
  const drained = async (backendId: number): Promise<unknown> =>
    worker.message(
      (message) =>
        message.type === "backend-paused" &&
        message.backendId === backendId &&
        message.running === 0,
    );

  test("lets transactions end, says so, and lets the next ones wait until it goes on", async () => {
    const [one, other] = [await worker.client(), await worker.client()];
    try {
      await one.query("begin");
      worker.tell({ type: "pause-backend", backendId: 0, round: 1 });
      worker.tell({ type: "pause-backend", backendId: 1, round: 2 });
      // The first message was dealt with when the second one is answered.
      await drained(1);
      worker.tell({ type: "resume-backend", backendId: 1 });
      const begun = other.query("begin");
      await one.query("commit");
      await drained(0);
      let isOver = false;
      void begun.then(() => (isOver = true));
      await one.query("select 1"); // A read of the standby: it is not paused.
      expect(isOver).toBe(false);
      worker.tell({ type: "resume-backend", backendId: 0 });
      await begun;
      await other.query("rollback");
    } finally {
      await Promise.all([one.end(), other.end()]);
    }
  });
});

describe("a cancel request", () => {
  test("fails a statement that waits for a server connection", async () => {
    const narrow = await startWorker({
      postgres,
      weights: [1, 0],
      config: ["pool_mode = transaction", "pool_size = 1"],
    });
    try {
      const holder = await RawClient.login(narrow.port);
      const waiting = await RawClient.open(narrow.port);
      waiting.send(say.startUp({ user: "postgres", database: "bench" }));
      await waiting.ready();
      holder.send(say.query("begin"));
      await holder.ready();
      waiting.send(say.query("select 1"), say.query("select 2"));
      await cancel(narrow.port, waiting);
      await waiting.ready(2);
      expect(waiting.error()).toMatchObject({ C: "57014" });
      holder.send(say.query("commit"));
      await waiting.ready(3);
      expect(waiting.types()).toMatch(/EZTDCZ$/);
      holder.destroy();
      waiting.destroy();
    } finally {
      await narrow.stop();
    }
  });

  test("ends what runs, and never what another client runs next on that connection", async () => {
    const narrow = await startWorker({
      postgres,
      weights: [1, 0],
      config: ["pool_mode = transaction", "pool_size = 1"],
    });
    try {
      const parameters = { user: "postgres", database: "bench" };
      const victim = await RawClient.open(narrow.port);
      victim.send(say.startUp(parameters, PROTOCOL_3_2));
      await victim.ready();
      expect(victim.frames.find((frame) => frame.type === "K")?.body).toHaveLength(36);
      const other = await RawClient.login(narrow.port);
      for (let round = 0; round < 30; round += 1) {
        victim.frames.splice(
          0,
          victim.frames.length,
          ...victim.frames.filter((f) => f.type === "K"),
        );
        other.frames.length = 0;
        victim.send(say.query("select pg_sleep(10) /* victim */"));
        await until(async () => (await running("victim")) === 1);
        // It waits for the same connection, and gets it as soon as the other has lost it.
        other.send(say.query("select pg_sleep(0.002)"));
        await cancel(narrow.port, victim);
        await Promise.all([victim.ready(), other.ready()]);
        expect(victim.error()).toMatchObject({ C: "57014" });
        expect(other.types()).toBe("TDCZ");
      }
      victim.destroy();
      other.destroy();
    } finally {
      await narrow.stop();
    }
  });
});

describe("a client that vanishes", () => {
  for (const mode of ["transaction", "session"]) {
    test(`has its statement canceled after client_check_interval in ${mode} mode`, async () => {
      const quick = await startWorker({
        postgres,
        weights: [1, 0],
        config: [`pool_mode = ${mode}`, "client_check_interval = 300ms"],
      });
      try {
        const client = await RawClient.login(quick.port);
        client.send(say.query("select pg_sleep(30) /* left alone */"));
        await until(async () => (await running("left alone")) === 1);
        client.destroy();
        const startMs = Date.now();
        await until(async () => (await running("left alone")) === 0);
        expect(Date.now() - startMs).toBeLessThan(5000);
      } finally {
        await quick.stop();
      }
    });
  }
});

/** Sends a CancelRequest with the key of that client, and waits until it is dealt with. */
async function cancel(port: number, client: RawClient): Promise<void> {
  const key = client.frames.find((frame) => frame.type === "K")?.body ?? Buffer.alloc(8);
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + key.length, 0);
  head.writeInt32BE((1234 << 16) | 5678, 4);
  const request = await RawClient.open(port);
  request.send(head, key);
  await request.closed();
}

async function running(comment: string): Promise<number> {
  const sql = `select count(*)::int as n from pg_stat_activity where state = 'active' and query like '%${comment}%' and pid <> pg_backend_pid()`;
  const [row] = await postgres.query(0, sql);
  return Number(row?.["n"]);
}

async function until(test: () => Promise<boolean>): Promise<void> {
  for (let round = 0; round < 500; round += 1) {
    if (await test()) return;
    await pause(20);
  }
  throw new Error("it never came true");
}

/** Name and value of every ParameterStatus so far. */
function reported(client: RawClient): string[][] {
  return client.frames
    .filter((frame) => frame.type === "S")
    .map((frame) => frame.body.toString().split("\0").slice(0, 2));
}

describe("who waits too long for a server connection", () => {
  test("is told so, and goes on when there is one", async () => {
    const narrow = await startWorker({
      postgres,
      weights: [1, 0],
      config: ["pool_mode = transaction", "pool_size = 1", "queue_timeout = 200ms"],
    });
    try {
      const raw = await RawClient.login(narrow.port);
      const holder = await narrow.client();
      const waiting = await narrow.client();
      await holder.query("begin");
      await expect(waiting.query("select 1")).rejects.toMatchObject({
        code: "53300",
        message: "no server connection became free within queue_timeout",
      });
      raw.send(say.parse("", "select 1"), say.bind("", ""), say.execute(), say.sync());
      await raw.ready();
      expect(raw.types()).toBe("EZ");
      await holder.query("commit");
      expect((await waiting.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
      raw.destroy();
      await Promise.all([holder.end(), waiting.end()]);
    } finally {
      await narrow.stop();
    }
  });
});
