/**
 * A table is altered under a prepared statement whose client shares server connections. On a connection of its
 * own PostgreSQL says "cached plan must not change result type" when the columns are others than at Parse. Here
 * nobody may get rows that are not as the last description that it was given says, on whichever connection.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { errorFields, RawClient, say } from "../support/raw-client.ts";
import { startWorker, type WorkerHarness } from "../support/worker-harness.ts";

let postgres: PostgresCluster;
let worker: WorkerHarness;
/** Reads go to the standby, and every client has its own connections. */
let balanced: WorkerHarness;
let roles = 0;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 1 });
  await postgres.query(0, "create database bench");
  const sharing = ["pool_mode = transaction", "pool_size = 4", "num_init_children = 100"];
  worker = await startWorker({ postgres, weights: [1, 0], config: sharing });
  balanced = await startWorker({ postgres, weights: [0, 1] });
});

afterAll(async () => {
  await Promise.all([worker?.stop(), balanced?.stop()]);
  await postgres?.stop();
});

/** Clients of one user, who has server connections and a table t of its own. */
class Scene {
  readonly user: string;
  readonly client: RawClient;
  readonly #port: number;
  readonly #blockers: RawClient[] = [];

  private constructor(user: string, port: number, client: RawClient) {
    this.user = user;
    this.#port = port;
    this.client = client;
  }

  static async open(port: number): Promise<Scene> {
    roles += 1;
    const user = `user${roles}`;
    await postgres.query(
      0,
      `create role ${user} login; create schema ${user} authorization ${user};`,
      "bench",
    );
    await postgres.query(
      0,
      `create table ${user}.t (a int, b text); insert into ${user}.t values (1, 'x')`,
      "bench",
    );
    await postgres.query(0, `alter table ${user}.t owner to ${user}`, "bench");
    return new Scene(user, port, await RawClient.login(port, { user, database: "bench" }));
  }

  async alter(sql: string): Promise<void> {
    await postgres.query(0, `set search_path = ${this.user}; ${sql}`, "bench");
  }

  /** Somebody else takes the connection that was used last, until `leave`. */
  async block(): Promise<void> {
    const blocker = await RawClient.login(this.#port, { user: this.user, database: "bench" });
    await ask(blocker, say.query("begin"));
    this.#blockers.push(blocker);
  }

  async leave(): Promise<void> {
    for (const blocker of this.#blockers.splice(0)) await ask(blocker, say.query("commit"));
  }

  async end(): Promise<void> {
    for (const one of [this.client, ...this.#blockers]) one.destroy();
    // PostgreSQL has room for so many connections only.
    const sql = `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${this.user}'`;
    await postgres.query(0, sql, "bench");
  }
}

/** Sends, and waits for one ReadyForQuery. @returns types, rows and errors of what came. */
async function ask(client: RawClient, ...messages: readonly Buffer[]): Promise<string> {
  client.frames.length = 0;
  client.send(...messages);
  await client.ready();
  return client.frames
    .filter(({ type }) => type !== "S")
    .map((frame) => {
      const { type, body } = frame;
      if (type === "T") return `T(${columns(body).join(" ")})`;
      if (type === "t") return `t(${types(body).join(" ")})`;
      if (type === "D") return `D(${values(body).join(" ")})`;
      if (type !== "E") return type === "Z" ? `Z${body.toString()}` : type;
      const { C: sqlstate = "", R: routine = "", M: message = "" } = errorFields(frame);
      return `E(${sqlstate} ${routine} ${message})`;
    })
    .join(" ");
}

/** The name and type of each column. */
function columns(body: Buffer): string[] {
  const found: string[] = [];
  for (let at = 2; at < body.length;) {
    const end = body.indexOf(0, at);
    found.push(`${body.toString("utf8", at, end)}:${body.readUInt32BE(end + 7)}`);
    at = end + 19;
  }
  return found;
}

function types(body: Buffer): number[] {
  return Array.from({ length: body.readUInt16BE(0) }, (_, index) =>
    body.readUInt32BE(2 + 4 * index),
  );
}

function values(body: Buffer): string[] {
  const found: string[] = [];
  for (let at = 2; at < body.length;) {
    const length = body.readInt32BE(at);
    found.push(length < 0 ? "-" : body.toString("latin1", at + 4, at + 4 + length));
    at += 4 + Math.max(0, length);
  }
  return found;
}

/** Where the client finds itself after the change. */
type Place =
  "the same connection" | "a new connection" | "one that has it from before" | "a transaction";
const PLACES: readonly Place[] = [
  "the same connection",
  "a new connection",
  "one that has it from before",
  "a transaction",
];

const bindWith = (formats: readonly number[], value?: Buffer): Buffer => {
  const words = (...numbers: readonly number[]): Buffer =>
    Buffer.from(numbers.flatMap((n) => [0, n]));
  const parameter =
    value === undefined
      ? [words(0, 0)]
      : [words(1, 1, 1), Buffer.from([0, 0, 0, value.length]), value];
  return say.any(
    "B",
    Buffer.concat([Buffer.from("\0s\0"), ...parameter, words(formats.length, ...formats)]),
  );
};

/** How the client executes s. The first two rely on columns that it was told before. */
const WAYS = {
  "Bind and Execute": [say.bind("", "s"), say.execute(), say.sync()],
  "a format for each column": [bindWith([0, 0]), say.describe("P", ""), say.execute(), say.sync()],
  "a Describe each time": [say.bind("", "s"), say.describe("P", ""), say.execute(), say.sync()],
  "another Describe first": [say.describe("S", "s"), say.bind("", "s"), say.execute(), say.sync()],
} as const;

type Change = readonly [name: string, sql: string, statement: string];

/** They leave what the statement gives as it was. */
const HARMLESS: readonly Change[] = [
  ["a column that is not asked for is added", "alter table t add c int", "select a, b from t"],
  ["an index is made", "create index on t (a)", "select * from t"],
  ["a column gets a default", "alter table t alter b set default 'y'", "select * from t"],
  [
    "the table is made anew",
    "drop table t; create table t (a int, b text); grant all on t to public; insert into t values (1, 'x')",
    "select * from t",
  ],
  [
    "a column is renamed behind an alias",
    "alter table t rename b to c; alter table t rename c to b",
    "select * from t",
  ],
];

/** They have PostgreSQL refuse the statement. */
const HARMFUL: readonly Change[] = [
  ["a column is added", "alter table t add c int default 5", "select * from t"],
  ["a column is dropped", "alter table t drop b", "select * from t"],
  ["a column is renamed", "alter table t rename b to c", "select * from t"],
  ["a column gets another type", "alter table t alter a type bigint", "select * from t"],
  ["a column gets another length", "alter table t alter b type varchar(7)", "select * from t"],
  [
    "what is returned is more",
    "alter table t add c int default 5",
    "update t set a = a returning *",
  ],
  [
    "a function gives more",
    "alter table t add c int default 5",
    "with w as (select * from t) select * from w",
  ],
];

/** Prepares s, describes it and executes it; then the table changes, and the client is in that place. */
async function changed(scene: Scene, [, sql, statement]: Change, place: Place): Promise<void> {
  const { client } = scene;
  const prepare = [
    say.parse("s", statement),
    say.describe("S", "s"),
    say.bind("", "s"),
    say.execute(),
  ];
  const first = await ask(client, ...prepare, say.sync());
  expect(first).toMatch(/^1 t\(\) T\(a:23 b:25\) 2 D\(1 x\) C ZI$/);
  if (place === "one that has it from before") {
    await scene.block();
    expect(await ask(client, ...WAYS["Bind and Execute"])).toBe("2 D(1 x) C ZI");
    await scene.leave();
  }
  await scene.alter(sql);
  // Whichever connection is given first: one of them has the statement from before, both, or none.
  if (place === "a new connection") await scene.block();
  if (place === "a transaction") expect(await ask(client, say.query("begin"))).toBe("C ZT");
}

/** What a connection of one's own answers. */
async function direct(change: Change, place: Place, ways: readonly Buffer[]): Promise<string> {
  const scene = await Scene.open(postgres.servers[0]?.port ?? 0);
  // There is no other connection to move to.
  await changed(scene, change, place === "a transaction" ? place : "the same connection");
  const answer = await ask(scene.client, ...ways);
  await scene.end();
  return answer;
}

describe.each(PLACES)("on %s", (place) => {
  test.each(HARMLESS)("nobody notices that %s", async (...change) => {
    for (const messages of Object.values(WAYS)) {
      const scene = await Scene.open(worker.port);
      await changed(scene, change, place);
      const answer = await ask(scene.client, ...messages);
      expect(answer).toBe(await direct(change, place, messages));
      expect(answer).toContain("D(1 x)");
      expect(answer).not.toContain("E");
      await scene.end();
    }
  });

  test.each(HARMFUL)("a client that relies on the columns hears that %s", async (...change) => {
    for (const way of ["Bind and Execute", "a format for each column"] as const) {
      const scene = await Scene.open(worker.port);
      await changed(scene, change, place);
      const answer = await ask(scene.client, ...WAYS[way]);
      const status = place === "a transaction" ? "ZE" : "ZI";
      const refused = `E(0A000 RevalidateCachedQuery cached plan must not change result type) ${status}`;
      expect(answer).toBe(refused);
      expect(answer).toBe(await direct(change, place, WAYS[way]));
      if (place === "a transaction") await ask(scene.client, say.query("rollback"));
      // As PostgreSQL: again and again, until the statement is prepared anew.
      expect(await ask(scene.client, ...WAYS[way])).toBe(refused.replace("ZE", "ZI"));
      expect(
        await ask(scene.client, say.close("S", "s"), say.parse("s", change[2]), say.sync()),
      ).toBe("3 1 ZI");
      expect(await ask(scene.client, ...WAYS["Bind and Execute"])).toMatch(/^2 D\(.*\) C ZI$/);
      await scene.leave();
      expect(await ask(scene.client, ...WAYS["Bind and Execute"])).toMatch(/^2 D\(.*\) C ZI$/);
      await scene.end();
    }
  });

  test.each(HARMFUL)("a client that asks for the columns is told that %s", async (...change) => {
    for (const way of ["a Describe each time", "another Describe first"] as const) {
      const scene = await Scene.open(worker.port);
      await changed(scene, change, place);
      const answer = await ask(scene.client, ...WAYS[way]);
      // Where the connection has the outdated plan, a transaction cannot be saved.
      if (place === "a transaction") expect(answer).toContain("E(0A000");
      else {
        const form =
          way === "a Describe each time"
            ? /^2 T\((.*)\) D\((.*)\) C ZI$/
            : /^t\(\) T\((.*)\) 2 D\((.*)\) C ZI$/;
        expect(answer).toMatch(form);
        const [, names = "", row = ""] = form.exec(answer) ?? [];
        expect(names.split(" ")).toHaveLength(row.split(" ").length);
        expect(names).not.toBe("a:23 b:25");
        // It knows them now.
        expect(await ask(scene.client, ...WAYS["Bind and Execute"])).toBe(`2 D(${row}) C ZI`);
        await scene.leave();
        expect(await ask(scene.client, ...WAYS["Bind and Execute"])).toBe(`2 D(${row}) C ZI`);
      }
      await scene.end();
    }
  });
});

describe("a statement without a name", () => {
  const prepare = [say.parse("", "select * from t"), say.describe("S", ""), say.sync()];
  const use = [say.bind("", ""), say.execute(), say.sync()];

  test.each([
    ["alter table t add c int", "E(0A000 RevalidateCachedQuery cached plan must not change"],
    ["create index on t (a)", "2 D(1 x) C ZI"],
  ])("is what its client was told, on another connection as well: %s", async (sql, answer) => {
    for (const isMoved of [false, true]) {
      const scene = await Scene.open(worker.port);
      expect(await ask(scene.client, ...prepare)).toBe("1 t() T(a:23 b:25) ZI");
      await scene.alter(sql);
      if (isMoved) await scene.block();
      expect(await ask(scene.client, ...use)).toContain(answer);
      expect(await ask(scene.client, ...prepare)).toMatch(/^1 t\(\) T\(.*\) ZI$/);
      expect(await ask(scene.client, ...use)).toMatch(/^2 D\(1 x.*\) C ZI$/);
      await scene.end();
    }
  });
});

describe("in session mode, on a server that gets the statement after the change", () => {
  /** A transaction that has written reads from the primary. */
  async function written(sql: string): Promise<Scene> {
    const scene = await Scene.open(balanced.port);
    await postgres.caughtUp();
    const prepare = [say.parse("s", "select * from t where b = 'x'"), say.describe("S", "s")];
    expect(await ask(scene.client, ...prepare, say.sync())).toBe("1 t() T(a:23 b:25) ZI");
    await scene.alter(sql);
    expect(await ask(scene.client, say.query("begin; insert into t (a) values (7)"))).toBe(
      "C C ZT",
    );
    return scene;
  }

  test.each(HARMLESS.slice(1, 3))("nobody notices that %s", async (_, sql) => {
    for (const messages of Object.values(WAYS)) {
      const scene = await written(sql);
      expect(await ask(scene.client, ...messages)).toMatch(/D\(1 x\) C ZT$/);
      expect(await ask(scene.client, ...messages)).toMatch(/D\(1 x\) C ZT$/);
      await scene.end();
    }
  });

  test("a client that relies on the columns is refused", async () => {
    for (const way of ["Bind and Execute", "a format for each column"] as const) {
      const scene = await written("alter table t add c int default 5");
      const refused = "E(0A000 RevalidateCachedQuery cached plan must not change result type) ZE";
      expect(await ask(scene.client, ...WAYS[way])).toBe(refused);
      await ask(scene.client, say.query("rollback"));
      await postgres.caughtUp();
      expect(await ask(scene.client, ...WAYS[way])).toBe(refused.replace("ZE", "ZI"));
      await scene.end();
    }
  });

  test("a client that asks for the columns is told, and knows them from then on", async () => {
    for (const way of ["a Describe each time", "another Describe first"] as const) {
      const scene = await written("alter table t add c int default 5");
      expect(await ask(scene.client, ...WAYS[way])).toMatch(
        /T\(a:23 b:25 c:23\) .*D\(1 x 5\) C ZT$/,
      );
      expect(await ask(scene.client, ...WAYS["Bind and Execute"])).toBe("2 D(1 x 5) C ZT");
      await ask(scene.client, say.query("rollback"));
      await postgres.caughtUp();
      // The standby has the plan from before: it is given the statement once more.
      expect(await ask(scene.client, ...WAYS["Bind and Execute"])).toBe("2 D(1 x 5) C ZI");
      await scene.end();
    }
  });

  test("one without a name is refused as well", async () => {
    const scene = await Scene.open(balanced.port);
    const prepare = [say.parse("", "select * from t"), say.describe("S", ""), say.sync()];
    await postgres.caughtUp();
    expect(await ask(scene.client, ...prepare)).toBe("1 t() T(a:23 b:25) ZI");
    await scene.alter("alter table t add c int default 5");
    const write = [
      say.parse("i", "insert into t (b) values ('y')"),
      say.bind("", "i"),
      say.execute(),
    ];
    const begin = [say.parse("b", "begin"), say.bind("", "b"), say.execute(), say.sync()];
    expect(await ask(scene.client, ...begin)).toBe("1 2 C ZT");
    expect(await ask(scene.client, ...write, say.sync())).toBe("1 2 C ZT");
    const use = [say.bind("", ""), say.execute(), say.sync()];
    expect(await ask(scene.client, ...use)).toContain("E(0A000");
    await scene.end();
  });
});

describe("two clients of one statement", () => {
  test("who has prepared before the change is refused, who has after it is not, in turn", async () => {
    const scene = await Scene.open(worker.port);
    const prepare = [say.parse("s", "select * from t"), say.describe("S", "s"), say.sync()];
    expect(await ask(scene.client, ...prepare)).toBe("1 t() T(a:23 b:25) ZI");
    await scene.alter("alter table t add c int default 5");
    const later = await RawClient.login(worker.port, { user: scene.user, database: "bench" });
    expect(await ask(later, ...prepare)).toBe("1 t() T(a:23 b:25 c:23) ZI");
    for (let round = 0; round < 3; round += 1) {
      expect(await ask(scene.client, ...WAYS["Bind and Execute"])).toContain("E(0A000");
      expect(await ask(later, ...WAYS["Bind and Execute"])).toBe("2 D(1 x 5) C ZI");
      if (round === 1) await scene.block();
    }
    // As it was before: the old plan is good again, the new one is not.
    await scene.alter("alter table t drop c");
    expect(await ask(scene.client, ...WAYS["Bind and Execute"])).toBe("2 D(1 x) C ZI");
    expect(await ask(later, ...WAYS["Bind and Execute"])).toContain("E(0A000");
    later.destroy();
    await scene.end();
  });
});

describe("parameters", () => {
  const FIND = "select b from t where a = $1";
  const seven = Buffer.from([0, 0, 0, 1]);
  const find = [bindWith([], seven), say.execute(), say.sync()];

  test.each(["alter table t alter a type bigint", "alter table t alter a type text"])(
    "keep the types that the client was told, on another connection: %s",
    async (sql) => {
      const answers: string[] = [];
      for (const port of [postgres.servers[0]?.port ?? 0, worker.port]) {
        const scene = await Scene.open(port);
        const prepare = [say.parse("s", FIND), say.describe("S", "s"), say.sync()];
        expect(await ask(scene.client, ...prepare)).toBe("1 t(23) T(b:25) ZI");
        await scene.alter(sql);
        if (port === worker.port) await scene.block();
        answers.push(await ask(scene.client, ...find));
        // PostgreSQL tells the types before it fails.
        const described = await ask(scene.client, say.describe("S", "s"), say.sync());
        answers.push(described.replace("t(23) E", "E"));
        await scene.end();
      }
      expect(answers.slice(2)).toEqual(answers.slice(0, 2));
      if (sql.endsWith("bigint")) expect(answers[0]).toBe("2 D(x) C ZI");
      else expect(answers[0]).toContain("E(42883");
    },
  );

  test("of two clients, prepared before and after the change, are each of their own types", async () => {
    const scene = await Scene.open(worker.port);
    const prepare = [say.parse("s", FIND), say.describe("S", "s"), say.sync()];
    expect(await ask(scene.client, ...prepare)).toBe("1 t(23) T(b:25) ZI");
    await scene.alter("alter table t alter a type bigint");
    const later = await RawClient.login(worker.port, { user: scene.user, database: "bench" });
    expect(await ask(later, ...prepare)).toBe("1 t(20) T(b:25) ZI");
    const eight = [bindWith([], Buffer.from([0, 0, 0, 0, 0, 0, 0, 1])), say.execute(), say.sync()];
    for (let round = 0; round < 3; round += 1) {
      expect(await ask(scene.client, ...find)).toBe("2 D(x) C ZI");
      expect(await ask(later, ...eight)).toBe("2 D(x) C ZI");
    }
    later.destroy();
    await scene.end();
  });
});

describe("in a batch of several statements", () => {
  test("what comes before the outdated one is answered, and is rolled back with it", async () => {
    const answers: string[] = [];
    for (const port of [postgres.servers[0]?.port ?? 0, worker.port]) {
      const scene = await Scene.open(port);
      const insert = say.parse("i", "insert into t (a) values (2)");
      await ask(
        scene.client,
        say.parse("s", "select * from t"),
        insert,
        say.describe("S", "s"),
        say.sync(),
      );
      await scene.alter("alter table t add c int");
      if (port === worker.port) await scene.block();
      const batch = [
        say.bind("", "i"),
        say.execute(),
        say.bind("", "s"),
        say.execute(),
        say.sync(),
      ];
      answers.push(await ask(scene.client, ...batch));
      answers.push(await ask(scene.client, say.query("select count(*) from t")));
      await scene.end();
    }
    expect(answers[0]).toMatch(/^2 C E\(0A000 .*\) ZI$/);
    expect(answers[1]).toContain("D(1)");
    expect(answers.slice(2)).toEqual(answers.slice(0, 2));
  });
});
