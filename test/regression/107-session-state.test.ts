import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { carryOver } from "../../src/proxy/core/session/carry-over.ts";
import {
  patientProbe,
  probeQuery,
  readProbe,
  type ProbeOutcome,
  type Suspicion,
} from "../../src/proxy/core/session/session-probe.ts";
import {
  reasonWords,
  SessionStates,
  type SessionState,
} from "../../src/proxy/core/session/session-state.ts";
import { LEAVES } from "../../src/proxy/core/sql/index.ts";
import { buildMessage, buildNamedRun, readRows } from "../../src/wire/postgres/index.ts";
import { startPostgres, type PostgresCluster } from "../support/postgres.ts";
import { errorFields, RawClient, say } from "../support/raw-client.ts";

const DATA_ROW = 0x44;
const ALL: Suspicion = { leaves: LEAVES.unknown, names: null };

let postgres: PostgresCluster;
let states: SessionStates;

beforeAll(async () => {
  postgres = await startPostgres({ standbys: 0 });
  await postgres.query(
    0,
    "create role app login; create role boss; grant boss to app; create role admin login superuser;",
  );
  for (const database of ["bench", "latin"]) {
    const encoding = database === "latin" ? "encoding 'LATIN1'" : "";
    await postgres.query(0, `create database ${database} owner app template template0 ${encoding}`);
  }
  // An = that says no.
  await postgres.query(
    0,
    `create schema evil; grant usage on schema evil to public;
     create function evil.no(text, text) returns bool language sql as 'select false';
     create operator evil.= (leftarg = text, rightarg = text, function = evil.no);`,
    "bench",
  );
  states = new SessionStates();
});

afterAll(async () => {
  await postgres?.stop();
});

/** A connection straight to PostgreSQL, whose state is followed as a pool would. */
class Connection {
  readonly client: RawClient;
  state: SessionState;
  readonly base: SessionState;

  private constructor(client: RawClient, base: SessionState) {
    this.client = client;
    this.state = states.initial;
    this.base = base;
  }

  static async open(
    o: {
      readonly user?: string;
      readonly database?: string;
      readonly startUp?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<Connection> {
    const { user = "app", database = "bench", startUp = {} } = o;
    const client = await RawClient.login(postgres.servers[0]?.port ?? 0, { user, database });
    const base = states.ofStartUp(new Map(Object.entries(startUp))).state;
    const connection = new Connection(client, base);
    await connection.become(base);
    return connection;
  }

  /** @returns the messages of the first error, if any. */
  async run(sql: string): Promise<string | null> {
    this.client.frames.length = 0;
    this.client.send(say.query(sql));
    await this.client.ready();
    const error = this.client.frames.find((frame) => frame.type === "E");
    return error === undefined ? null : (errorFields(error)["M"] ?? "");
  }

  /** In one transaction. */
  async runTogether(statements: readonly string[]): Promise<void> {
    this.client.frames.length = 0;
    this.client.send(buildNamedRun("together", statements));
    await this.client.ready();
    expect(this.client.types()).not.toContain("E");
  }

  async become(state: SessionState): Promise<void> {
    const change = carryOver(this.state, state);
    for (const query of change?.queries ?? []) expect(await this.run(query), query).toBeNull();
    this.state = state;
  }

  async probe(suspicion: Suspicion, isPatient = false): Promise<ProbeOutcome> {
    const before = this.state;
    if (isPatient) await this.runTogether(patientProbe(suspicion, before));
    else {
      const query = probeQuery(suspicion, before);
      expect(await this.run(query), query).toBeNull();
    }
    const outcome = readProbe(states, { rows: this.#rows(), suspicion, before, base: this.base });
    this.state = outcome.connection;
    return outcome;
  }

  async first(sql: string): Promise<string> {
    expect(await this.run(sql), sql).toBeNull();
    const body = this.client.frames.find((frame) => frame.type === "D")?.body;
    return body === undefined || body.readInt32BE(2) < 0 ? "" : body.toString("latin1", 6);
  }

  async showAll(): Promise<ReadonlyMap<string, string>> {
    expect(await this.run("show all")).toBeNull();
    const rows = readRows(this.#rows()).map(([name, value]) => [name ?? "", value ?? ""] as const);
    return new Map([
      ["role", await this.first("select pg_catalog.current_setting('role')")],
      ...rows,
    ]);
  }

  end(): void {
    this.client.send(say.terminate());
  }

  #rows(): Buffer {
    const rows = this.client.frames.filter((frame) => frame.type === "D");
    return Buffer.concat(rows.map((frame) => buildMessage(DATA_ROW, frame.body)));
  }
}

/** Statements of one session. */
const STORIES: readonly (readonly [string, readonly string[]])[] = [
  ["nothing", ["select 1"]],
  ["SET", ["set work_mem = '7MB'", "set enable_seqscan = off", "set datestyle = 'SQL, DMY'"]],
  ["RESET", ["set work_mem = '7MB'", "set geqo = off", "reset work_mem"]],
  ["RESET ALL", ["set work_mem = '7MB'", "set geqo = off", "reset all"]],
  ["DISCARD ALL", ["set work_mem = '7MB'", "prepare x as select 1", "discard all"]],
  ["SET LOCAL", ["begin", "set local work_mem = '7MB'", "commit"]],
  ["a SET that is rolled back", ["begin", "set work_mem = '7MB'", "rollback"]],
  ["a SET that fails", ["set work_mem = 'much'"]],
  ["set_config", ["select set_config('work_mem', '9MB', false)"]],
  ["a local set_config", ["select set_config('work_mem', '9MB', true)"]],
  ["SET TIME ZONE with an interval", ["set time zone interval '-08:30' hour to minute"]],
  ["SET TIME ZONE with a number", ["set time zone -7"]],
  ["SET TIME ZONE with a name", ["set time zone 'Europe/Berlin'"]],
  ["SET NAMES", ["set names 'latin1'", "set application_name = 'a b'"]],
  ["a role", ["set role boss"]],
  ["a role that was left", ["set role boss", "set work_mem = '3MB'", "reset role"]],
  [
    "SET SESSION CHARACTERISTICS",
    ["set session characteristics as transaction isolation level serializable, read only"],
  ],
  ["a transaction's own level", ["set transaction_isolation = 'serializable'"]],
  ["a search_path with quotes", [`set search_path = 'a"b', "C d", "x''y", '', 'back\\slash'`]],
  ["an empty search_path", ["set search_path = ''"]],
  ["backslashes", ["set application_name = 'a\\b'", "set standard_conforming_strings = off"]],
  ["an operator of its own before the system's", ["set search_path = evil, pg_catalog"]],
  ["real numbers", ["set seq_page_cost = 1.25", "set cursor_tuple_fraction = 0.3"]],
  ["units", ["set statement_timeout = '90min'", "set temp_buffers = 1234"]],
  [
    "prepared statements",
    ["prepare x(int) as select $1 + 1 -- one", 'prepare "Q ""y" as select 2;'],
  ],
];

/** Parameters that differ, as lines for a person. */
function difference(
  wanted: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, string>,
): string[] {
  const names = [...new Set([...wanted.keys(), ...found.keys()])];
  return names
    .filter((name) => wanted.get(name) !== found.get(name))
    .map((name) => `${name}: ${wanted.get(name)}, found ${found.get(name)}`);
}

describe("a session's state is found again on another connection", () => {
  test.each(STORIES)("after %s", async (_name, statements) => {
    const one = await Connection.open();
    const two = await Connection.open();
    for (const sql of statements) await one.run(sql);
    const { session, reasons } = await one.probe(ALL);
    expect(reasonWords(reasons)).toEqual([]);
    await two.become(session);
    expect(difference(await one.showAll(), await two.showAll())).toEqual([]);
    const prepared = "select string_agg(name, ',' order by name) from pg_prepared_statements";
    expect(await two.first(prepared)).toEqual(await one.first(prepared));
    // What it carried over is what a probe finds there.
    expect((await two.probe(ALL)).session).toBe(session);
    // And it goes away again.
    await two.become(states.initial);
    const fresh = await Connection.open();
    expect(difference(await fresh.showAll(), await two.showAll())).toEqual([]);
    for (const connection of [one, two, fresh]) connection.end();
  });

  test.each(STORIES)(
    "with the time limit lifted for the question, after %s",
    async (_name, sql) => {
      const one = await Connection.open();
      for (const each of sql) await one.run(each);
      const limit = await one.first("show statement_timeout");
      const { session } = await one.probe(ALL);
      const { session: patient } = await one.probe(ALL, true);
      expect(Object.fromEntries(patient.settings)).toEqual({
        ...Object.fromEntries(session.settings),
        statement_timeout: limit,
      });
      expect([...patient.prepared]).toEqual([...session.prepared]);
      expect(await one.first("show statement_timeout")).toBe(limit);
      one.end();
    },
  );

  test("with custom parameters, whose names must be known", async () => {
    const one = await Connection.open();
    const two = await Connection.open();
    await one.run(
      "set app.who = 'it''s \\ \"me\"'; set app.gone = 'x'; select set_config('Q.z', 'ä', false)",
    );
    const names = ["app.who", "app.gone", "q.z"];
    const { session } = await one.probe({ leaves: LEAVES.settings, names });
    await two.become(session);
    for (const name of names) {
      const sql = `select current_setting('${name}')`;
      expect(await two.first(sql)).toBe(await one.first(sql));
    }
    await two.run("reset app.gone");
    const after = await two.probe(ALL);
    expect([...after.session.settings.keys()].sort()).toEqual(["app.who", "q.z"]);
    await two.become(states.initial);
    expect(await two.first("select current_setting('app.who')")).toBe("");
    one.end();
    two.end();
  });

  test("when only the named settings are looked at", async () => {
    const one = await Connection.open({ startUp: { application_name: "first" } });
    await one.run("set work_mem = '7MB'; set geqo = off");
    const { session } = await one.probe({ leaves: LEAVES.settings, names: ["geqo"] });
    expect([...session.settings]).toEqual([
      ["application_name", "first"],
      ["geqo", "off"],
    ]);
    const more = await one.probe({ leaves: LEAVES.settings, names: ["work_mem"] });
    expect(more.session.settings.get("work_mem")).toBe("7MB");
    expect(more.session.settings.get("geqo")).toBe("off");
    one.end();
  });

  test("and a RESET brings back what the start-up packet asked for", async () => {
    const one = await Connection.open({ startUp: { DateStyle: "SQL, DMY", user: "app" } });
    expect(await one.first("show datestyle")).toBe("SQL, DMY");
    await one.run("set datestyle = 'ISO'");
    await one.probe(ALL);
    await one.run("reset datestyle");
    const { connection, session } = await one.probe(ALL);
    expect(connection).not.toBe(session);
    await one.become(session);
    expect(await one.first("show datestyle")).toBe("SQL, DMY");
    one.end();
  });

  test("in a database of another encoding", async () => {
    const one = await Connection.open({ database: "latin" });
    const two = await Connection.open({ database: "latin" });
    await one.run("set client_encoding = 'UTF8'");
    await one.run("set search_path = 'zoë', 'b'");
    const { session } = await one.probe(ALL);
    expect(session.settings.get("search_path")).toBe('"zo\xeb", b');
    await two.become(session);
    expect(difference(await one.showAll(), await two.showAll())).toEqual([]);
    await two.become(states.initial);
    await two.become(session);
    expect(difference(await one.showAll(), await two.showAll())).toEqual([]);
    one.end();
    two.end();
  });

  test("with a role that may not set what was set before it", async () => {
    const one = await Connection.open({ user: "admin" });
    const two = await Connection.open({ user: "admin" });
    await one.run("set log_duration = off; set log_min_messages = 'panic'; set role app");
    const { session } = await one.probe(ALL);
    await two.become(session);
    expect(await two.first("select current_user")).toBe("app");
    expect(difference(await one.showAll(), await two.showAll())).toEqual([]);
    await two.become(states.initial);
    expect(await two.first("select current_user")).toBe("admin");
    one.end();
    two.end();
  });
});

describe("a session keeps its connection", () => {
  test.each([
    ["LISTEN", "listen news", "unlisten *"],
    ["temporary object", "create temp table t (a int)", "drop table t"],
    ["temporary object", "create temp sequence t", "discard temp"],
    [
      "temporary object",
      "create function pg_temp.f() returns int language sql as 'select 1'",
      "discard all",
    ],
    ["temporary object", "create type pg_temp.mood as enum ('good')", "drop type pg_temp.mood"],
    ["advisory lock", "select pg_advisory_lock(1, 2)", "select pg_advisory_unlock_all()"],
    [
      "advisory lock",
      "select pg_try_advisory_lock_shared(7)",
      "select pg_advisory_unlock_shared(7)",
    ],
    ["cursor WITH HOLD", "declare c cursor with hold for select 1", "close c"],
    ["prepared statement", "select 1; prepare a as select 2", "deallocate a"],
    ["prepared statement", "prepare a as select 'ä'", "deallocate all"],
  ])("for %s", async (words, sql, undo) => {
    const one = await Connection.open();
    expect(await one.run(sql)).toBeNull();
    const { reasons } = await one.probe(ALL);
    expect(reasonWords(reasons)).toEqual([words]);
    // The cheap look for that alone finds the same, and that it is gone.
    expect((await one.probe({ leaves: reasons, names: null })).reasons).toBe(reasons);
    expect(await one.run(undo)).toBeNull();
    expect((await one.probe({ leaves: reasons, names: null })).reasons).toBe(0);
    one.end();
  });

  test("for another session user", async () => {
    const one = await Connection.open({ user: "admin" });
    await one.run("set session authorization app");
    const { reasons } = await one.probe({ leaves: LEAVES.role, names: ["session_authorization"] });
    expect(reasonWords(reasons)).toEqual(["SET SESSION AUTHORIZATION"]);
    await one.run("reset session authorization");
    expect((await one.probe({ leaves: LEAVES.role, names: null })).reasons).toBe(0);
    one.end();
  });

  test("but not for what ends with the transaction", async () => {
    const one = await Connection.open();
    await one.run(`begin; create temp table t (a int) on commit drop; select pg_advisory_xact_lock(1);
      declare c cursor for select 1; commit`);
    expect((await one.probe(ALL)).reasons).toBe(0);
    one.end();
  });

  test("as long as a library is loaded, which is for ever", async () => {
    const one = await Connection.open();
    const { reasons } = await one.probe({ leaves: LEAVES.process, names: null });
    expect(reasonWords(reasons)).toEqual(["LOAD or temporary replication slot"]);
    one.end();
  });
});

describe("a change of state that fails", () => {
  test("leaves the connection as it was when it is atomic", async () => {
    const one = await Connection.open();
    const settings = new Map([
      ["work_mem", "5MB"],
      ["geqo", "perhaps"],
    ]);
    const change = carryOver(one.state, states.of(settings, new Map()));
    expect(change?.isAtomic).toBe(true);
    const before = await one.showAll();
    expect(await one.run(change?.queries[0] ?? "")).toContain(
      'parameter "geqo" requires a Boolean value',
    );
    expect(difference(before, await one.showAll())).toEqual([]);
    one.end();
  });

  test("names a setting that a start-up packet got wrong", async () => {
    const one = await Connection.open();
    const { state } = states.ofStartUp(
      new Map([
        ["user", "app"],
        ["nonsense", "1"],
      ]),
    );
    const change = carryOver(states.initial, state);
    expect(await one.run(change?.queries[0] ?? "")).toBe(
      'unrecognized configuration parameter "nonsense"',
    );
    one.end();
  });
});
