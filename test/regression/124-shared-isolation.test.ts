/**
 * Clients that share server connections (pool_mode = transaction) and try, or happen, to get at each
 * other: statements, settings, transactions, notifications, and the connections themselves.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { drawMessages } from "../fuzz/model/messages.ts";
import { Random } from "../sim/random.ts";
import { until } from "../support/loopback-cluster.ts";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { RawClient, say } from "../support/raw-client.ts";
import { pause, startWorker, type WorkerHarness } from "../support/worker-harness.ts";

const CHAOS = Number(process.env.CHAOS ?? "300");

let postgres: PostgresCluster;
let worker: WorkerHarness;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 0 });
  await postgres.query(0, "create database bench");
  await postgres.query(0, "create table t (a text)", "bench");
});

afterAll(async () => {
  await postgres?.stop();
});

async function startSharing(poolSize: number, more: readonly string[] = []): Promise<void> {
  const sharing = ["pool_mode = 'transaction'", `pool_size = ${poolSize}`];
  worker = await startWorker({
    postgres,
    config: [...sharing, "num_init_children = 100", ...more],
  });
}

afterEach(async () => {
  await worker.stop();
});

const login = (): Promise<RawClient> => RawClient.login(worker.port);

/** Sends, and waits for one ReadyForQuery. @returns types and first column texts of what came. */
async function ask(client: RawClient, ...messages: readonly Buffer[]): Promise<string> {
  client.frames.length = 0;
  client.send(...messages);
  await client.ready();
  return client.frames
    .filter(({ type }) => type !== "S")
    .map(({ type, body }) => {
      if (type === "D") return `D(${body.subarray(6).toString("latin1")})`;
      return type === "E" ? `E(${/C(\w{5})\0/.exec(body.toString("latin1"))?.[1]})` : type;
    })
    .join(" ");
}

async function connectionsInUse(): Promise<number> {
  const sql = `select count(*)::int as count from pg_stat_activity
    where datname = 'bench' and pid <> pg_backend_pid() and backend_type = 'client backend'`;
  const [row] = await postgres.query(0, sql, "bench");
  return Number(row?.["count"]);
}

describe("with one server connection for all", () => {
  beforeEach(() => startSharing(1));

  test("nobody gets at the unnamed statement of another", async () => {
    const owner = await login();
    const secret = say.parse("", "select 'a secret'");
    const use = [say.bind("", ""), say.execute()];
    const tries: (readonly Buffer[])[] = [
      [...use, say.sync()],
      [say.describe("S", ""), say.sync()],
      [say.parse("x", "select 1"), say.flush(), ...use, say.sync()],
      [say.flush(), ...use, say.sync()],
      [say.close("P", "none"), say.flush(), ...use, say.sync()],
      [say.close("S", "none"), say.flush(), say.describe("S", ""), say.sync()],
      [say.execute("none"), ...use, say.sync(), ...use, say.sync()],
      [say.copyDone(), ...use, say.sync()],
    ];
    for (const messages of tries) {
      expect(await ask(owner, secret, say.sync())).toBe("1 Z");
      const thief = await login();
      // In pieces: what can be forwarded early is.
      for (const message of messages) {
        thief.send(message);
        await pause(5);
      }
      await thief.ready();
      expect(thief.frames.some(({ body }) => body.includes("a secret"))).toBe(false);
      expect(thief.types()).toContain("E");
      thief.destroy();
      expect(await ask(owner, ...use, say.sync())).toBe("2 D(a secret) C Z");
    }
  });

  test("a time limit that one client sets does not end the statements of another", async () => {
    const [hasty, patient] = [await login(), await login()];
    await ask(hasty, say.query("set statement_timeout = 1"));
    for (let round = 0; round < 30; round += 1) {
      await ask(hasty, say.query("select 1"));
      expect(await ask(patient, say.query("select pg_sleep(0.005)"))).toBe("T D() C Z");
    }
    expect(await ask(hasty, say.query("select pg_sleep(0.1)"))).toBe("T E(57014) Z");
  });

  test("a time limit does not cut short what makes the connection another one's, either", async () => {
    const [hasty, patient] = [await login(), await login()];
    // To undo all that takes longer than the limit that holds meanwhile.
    for (let i = 0; i < 150; i += 1) {
      await ask(hasty, say.query(`set a.b${i} = '${"x".repeat(300)}'`));
    }
    for (const what of ["plan", "parse", "rewritten"]) {
      await ask(hasty, say.query(`set debug_print_${what} = on`));
    }
    await ask(hasty, say.query("set statement_timeout = 1"));
    for (let round = 0; round < 10; round += 1) {
      await ask(hasty, say.query("select 1"));
      expect(await ask(patient, say.query("select pg_sleep(0.005)"))).toBe("T D() C Z");
    }
  });

  test("nor the question what a DO has left, and the limit is as it was", async () => {
    const [hasty, patient] = [await login(), await login()];
    // So that the question takes longer than the limit every time.
    for (let i = 0; i < 150; i += 1) await ask(hasty, say.query(`set a.b${i} = 'x'`));
    await ask(hasty, say.query("set statement_timeout = 1"));
    for (let round = 0; round < 10; round += 1) {
      await ask(hasty, say.query("do $$ begin end $$"));
      expect(await ask(patient, say.query("select pg_sleep(0.005)"))).toBe("T D() C Z");
    }
    expect(await ask(hasty, say.query("show statement_timeout"))).toBe("T D(1ms) C Z");
    expect(await ask(patient, say.query("show statement_timeout"))).toBe("T D(0) C Z");
  });

  test("settings, roles and prepared statements of one are not those of another", async () => {
    const clients = [await login(), await login(), await login()];
    await postgres.query(0, "create role someone", "bench");
    for (const [number, client] of clients.entries()) {
      await ask(client, say.query(`set datestyle = '${["ISO", "SQL", "German"][number]}'`));
      await ask(client, say.query(`set a.b = 'of ${number}'`));
      await ask(client, say.query(`prepare p as select 'prepared by ${number}'`));
      if (number === 1) await ask(client, say.query("set role someone"));
    }
    for (let round = 0; round < 3; round += 1) {
      for (const [number, client] of clients.entries()) {
        const date = ["2020-02-03", "02/03/2020", "03.02.2020"][number];
        expect(await ask(client, say.query("select '2020-02-03'::date::text"))).toBe(
          `T D(${date}) C Z`,
        );
        expect(await ask(client, say.query("select current_setting('a.b')"))).toBe(
          `T D(of ${number}) C Z`,
        );
        expect(await ask(client, say.query("execute p"))).toBe(`T D(prepared by ${number}) C Z`);
        const role = number === 1 ? "someone" : "postgres";
        expect(await ask(client, say.query("select current_user"))).toBe(`T D(${role}) C Z`);
      }
    }
  });

  test("a statement of another is not met by guessing its name", async () => {
    const [owner, thief] = [await login(), await login()];
    expect(await ask(owner, say.parse("s", "select 'a secret'"), say.sync())).toBe("1 Z");
    for (let number = 1; number <= 20; number += 1) {
      const name = `pgquorum/${number}`;
      expect(await ask(thief, say.query(`execute "${name}"`))).toBe("E(26000) Z");
      expect(await ask(thief, say.bind("", name), say.execute(), say.sync())).toBe("E(26000) Z");
    }
  });

  test("a named statement survives whatever another client does to names", async () => {
    const victim = await login();
    const parse = say.parse("s", "select 'the victim'");
    const use = [say.bind("", "s"), say.execute(), say.sync()];
    expect(await ask(victim, parse, say.sync())).toBe("1 Z");
    const { rows } = await worker.client().then(async (client) => {
      const result = await client.query("select name from pg_prepared_statements");
      await client.end();
      return result as { rows: { name: string }[] };
    });
    const wrong: string[] = [];
    const names = [...rows.map(({ name }) => name), "s", "pgquorum/1", "pgquorum/2", "pgquorum/"];
    for (const name of names) {
      const quoted = `"${name}"`;
      const tries: (readonly Buffer[])[] = [
        [say.query(`deallocate ${quoted}`)],
        [say.parse("", `deallocate ${quoted}`), say.bind("", ""), say.execute(), say.sync()],
        [say.query(`select 1; deallocate ${quoted}`)],
        [say.close("S", name), say.sync()],
        [say.bind("", name), say.execute(), say.sync()],
        [say.describe("S", name), say.sync()],
        [say.query("deallocate all")],
        [say.query("discard all")],
        [say.query("discard plans")],
        [say.query(`prepare ${quoted} as select 'evil'`)],
        [say.parse(name, "select 'evil'"), say.sync()],
        [say.query(`begin; prepare ${quoted} as select 'evil'; rollback`)],
      ];
      for (const messages of tries) {
        const meddler = await login();
        const got = await ask(meddler, ...messages);
        if (got.includes("victim") || got.startsWith("t")) wrong.push(`the meddler got ${got}`);
        await ask(meddler, say.query("select 1"));
        meddler.send(say.terminate());
        const what = `${name} ${messages.map((one) => one.toString("latin1")).join(" ")}`;
        const answer = await ask(victim, ...use);
        if (answer !== "2 D(the victim) C Z") wrong.push(`after ${what}: ${answer}`);
        if (answer.startsWith("E")) await ask(victim, say.close("S", "s"), parse, say.sync());
      }
    }
    expect(wrong.join("\n").replaceAll("\0", " ")).toBe("");
  });

  test("the same text means what each client's own settings make of it", async () => {
    await postgres.query(
      0,
      `create schema one; create table one.x as select 1::int as v;
       create schema two; create table two.x as select 'two'::text as v, 2 as w;`,
      "bench",
    );
    const [first, second] = [await login(), await login()];
    const text = say.parse("s", "select * from x");
    const use = [say.bind("", "s"), say.describe("P", ""), say.execute(), say.sync()];
    await ask(first, say.query("set search_path = one"));
    await ask(second, say.query("set search_path = two"));
    expect(await ask(first, text, say.sync())).toBe("1 Z");
    expect(await ask(second, text, say.sync())).toBe("1 Z");
    for (let round = 0; round < 8; round += 1) {
      expect(await ask(first, ...use)).toBe("2 T D(1) C Z");
      expect(await ask(second, ...use)).toContain("D(two");
    }
    const escaped = say.parse("e", "select 'a\\\\b'");
    const useEscaped = [say.bind("", "e"), say.execute(), say.sync()];
    await ask(second, say.query("set standard_conforming_strings = off"));
    await ask(first, escaped, say.sync());
    await ask(second, say.query("set escape_string_warning = off"));
    await ask(second, escaped, say.sync());
    for (let round = 0; round < 3; round += 1) {
      expect(await ask(first, ...useEscaped)).toBe("2 D(a\\\\b) C Z");
      expect(await ask(second, ...useEscaped)).toBe("2 D(a\\b) C Z");
    }
  });

  test("a transaction whose client vanishes is rolled back before another gets the connection", async () => {
    for (const ending of ["destroy", "reset"] as const) {
      const gone = await login();
      await ask(gone, say.query("begin"));
      await ask(gone, say.query("insert into t values ('lost')"));
      if (ending === "destroy") gone.destroy();
      else gone.socket.resetAndDestroy();
      const next = await login();
      expect(await ask(next, say.query("select count(*) from t"))).toBe("T D(0) C Z");
      expect(await ask(next, say.query("savepoint s"))).toBe("E(25P01) Z");
      next.destroy();
    }
  });

  test("whoever keeps the others waiting and vanishes gives up the connection", async () => {
    const blockers: (readonly Buffer[])[] = [
      [say.parse("", "select broken from")],
      [say.query("copy t from stdin"), say.copyData("half a")],
      [say.query("select pg_sleep(60)")],
      [say.parse("", "select 1"), say.flush()],
      [
        say.query("begin"),
        say.query("listen x"),
        say.query("declare c cursor with hold for select 1"),
      ],
      [say.query("x".repeat(300_000)).subarray(0, 290_000)],
    ];
    for (const [number, messages] of blockers.entries()) {
      const blocker = await login();
      blocker.send(...messages);
      await pause(50);
      const next = await login();
      const answer = ask(next, say.query("select 'served'"));
      await pause(20);
      blocker.destroy();
      expect(await answer, `after blocker ${number}`).toBe("T D(served) C Z");
      next.destroy();
    }
  });

  test("one who waits for the connection and vanishes is not given it", async () => {
    const owner = await login();
    await ask(owner, say.query("begin"));
    const waiting = [];
    for (let i = 0; i < 10; i += 1) {
      const client = await login();
      client.send(say.query(`select ${i}`));
      waiting.push(client);
    }
    await pause(100);
    for (const client of waiting.slice(0, 9)) client.destroy();
    const last = waiting[9] as RawClient;
    await ask(owner, say.query("commit"));
    await last.ready();
    expect(last.types()).toBe("TDCZ");
    expect(await ask(owner, say.query("select 1"))).toBe("T D(1) C Z");
    expect(await connectionsInUse()).toBe(1);
  });

  test("who stops listening gets no more notifications, and nobody else does", async () => {
    const [listener, other] = [await login(), await login()];
    await ask(listener, say.query("listen c"));
    await ask(listener, say.query("unlisten c"));
    await ask(other, say.query("notify c, 'for nobody'"));
    await ask(listener, say.query("select 1"));
    await ask(other, say.query("select 1"));
    expect(listener.count("A") + other.count("A")).toBe(0);
  });
});

describe("with three server connections", () => {
  test("none is lost when clients come and vanish at any moment", async () => {
    await startSharing(3);
    const random = new Random(11);
    const chaosLeft = Array.from({ length: CHAOS }, (_, number) => number);
    const chaos = async (): Promise<void> => {
      while (chaosLeft.pop() !== undefined) {
        const client = await RawClient.open(worker.port);
        client.send(say.startUp({ user: "postgres", database: "bench" }));
        if (random.chance(0.8))
          await client.until(() => client.count("Z") > 0, "the login").catch(() => undefined);
        for (const message of drawMessages(random, 1 + random.below(8))) {
          client.socket.write(message);
          if (random.chance(0.2)) await pause(random.below(4));
        }
        if (random.chance(0.1))
          client.send(say.query("listen x; create temp table if not exists y ()"));
        await pause(random.below(15));
        const ending = random.below(3);
        if (ending === 0) client.socket.resetAndDestroy();
        else if (ending === 1) client.socket.end(say.terminate());
        else client.destroy();
      }
    };
    const steady = await login();
    const steadyWork = (async () => {
      for (let round = 0; chaosLeft.length > 0; round += 1) {
        expect(await ask(steady, say.query(`select ${round}`))).toBe(`T D(${round}) C Z`);
      }
    })();
    await Promise.all([...Array.from({ length: 8 }, chaos), steadyWork]);
    await until("the statements that nobody waits for have ended", async () => {
      return (await connectionsInUse()) <= 3;
    });
    // All three are there, at once: none is lost.
    const clients = await Promise.all([login(), login(), login()]);
    await Promise.all(clients.map((client) => ask(client, say.query("begin"))));
    const answers = clients.map((client) => ask(client, say.query("select 'at once'")));
    expect(await Promise.all(answers)).toEqual(Array.from(clients, () => "T D(at once) C Z"));
    expect(await connectionsInUse()).toBe(3);
  }, 120_000);
});
