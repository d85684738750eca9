import { describe, expect, test } from "vitest";
import {
  compileRules,
  mutationLifeMs,
  TableMutations,
  type MutationSettings,
} from "../../../../../src/proxy/core/routing/index.ts";
import { SessionRouting } from "../../../../../src/proxy/core/session/session-routing.ts";
import { CLIENT, ROUTING } from "../../../../support/routing.ts";
import { backend, view } from "./context.ts";
import { realClassifier } from "../sql/parser.ts";

const classifier = await realClassifier();

const SETTINGS: MutationSettings = {
  track_table_mutation_cold_start_duration: 0,
  track_table_mutation_max_staleness: 0,
  track_table_mutation_table_size: 128,
  track_table_mutation_ttl_factor: 5,
};

class Worker {
  readonly told: string[] = [];
  nowMs = 1000;
  readonly mutations: TableMutations;

  constructor(own: Partial<MutationSettings> = {}) {
    const port = {
      nowMs: () => this.nowMs,
      lifeMs: () => 2000,
      tell: (database: string, tables: readonly string[]) =>
        void this.told.push(`${database}: ${tables.join(" ")}`),
    };
    this.mutations = new TableMutations(port, { ...SETTINGS, ...own });
  }

  session(related = ""): TestSession {
    return new TestSession(this.mutations, related);
  }
}

class TestSession {
  readonly #routing: SessionRouting;
  #isOpen = false;

  constructor(mutations: TableMutations, related: string) {
    const rules = compileRules({
      ...ROUTING,
      disable_load_balance_on_write: "dml_adaptive_global",
      dml_adaptive_object_relationship_list: related,
    });
    this.#routing = new SessionRouting({
      rules,
      catalog: null,
      mutations: mutations.wantedBy(rules, "shop"),
      view: view(),
      loadBalanceNode: 1,
      client: CLIENT,
      nextRandom: () => 0,
    });
  }

  /** Sends it, to the backend that it names. */
  send(text: string): number | null {
    const sql = classifier.classify(text);
    this.#routing.isSettled = this.#isOpen;
    const to = this.#routing.ofStatement(sql, text, this.#isOpen);
    const backendId = to.kind === "backend" ? to.backendId : null;
    this.#routing.executed(sql, [{ backendId: backendId ?? 0 }], false);
    if (sql.kind === "begin") this.#routing.learnLevels("read committed", "read committed");
    this.#isOpen = sql.kind === "begin" || (this.#isOpen && sql.kind !== "commit");
    return backendId;
  }

  settled(): void {
    this.#routing.settled();
  }
}

describe("with dml_adaptive_global", () => {
  test("a table that a session has written is read on the primary, by all sessions, for a while", () => {
    const worker = new Worker();
    const [writer, reader] = [worker.session(), worker.session()];
    expect(reader.send("select * from t")).toBe(1);
    writer.send("insert into s.T values (1)");
    expect(reader.send("select * from t")).toBe(0);
    expect(reader.send("select * from u")).toBe(1);
    worker.nowMs += 1999;
    worker.mutations.expire();
    expect(reader.send("select * from t")).toBe(0);
    worker.nowMs += 1;
    worker.mutations.expire();
    expect(reader.send("select * from t")).toBe(1);
  });

  test("its time runs from the moment when the write was answered", () => {
    const worker = new Worker();
    const writer = worker.session();
    writer.send("update t set i = 1");
    worker.nowMs += 10_000;
    worker.mutations.expire();
    writer.settled();
    expect(worker.session().send("select * from t")).toBe(0);
    expect(worker.told).toEqual(["shop: t", "shop: t"]);
    writer.settled();
    expect(worker.told).toHaveLength(2);
  });

  test("what a transaction writes concerns others when it is committed", () => {
    const worker = new Worker();
    const [writer, reader] = [worker.session(), worker.session()];
    writer.send("begin");
    writer.send("insert into t values (1)");
    writer.send("delete from u");
    expect([reader.send("select * from t"), writer.send("select * from t")]).toEqual([1, 0]);
    writer.send("commit");
    expect([reader.send("select * from t"), reader.send("select * from u")]).toEqual([0, 0]);
    expect(worker.told).toEqual(["shop: t u"]);
  });

  test("what is related to a written table counts as well", () => {
    const worker = new Worker();
    worker.session("t:v,f():w").send("insert into t values (1)");
    expect(worker.session().send("select * from v")).toBe(0);
    expect(worker.session().send("select * from w")).toBe(1);
  });

  test("a worker hears of what others have written, in the same database", () => {
    const worker = new Worker();
    worker.mutations.writtenElsewhere("other", ["t"]);
    expect(worker.session().send("select * from t")).toBe(1);
    worker.mutations.writtenElsewhere("shop", ["t"]);
    expect(worker.session().send("select * from t")).toBe(0);
    expect(worker.told).toEqual([]);
  });

  test("all reads stay on the primary while a worker has just started", () => {
    const worker = new Worker({ track_table_mutation_cold_start_duration: 500 });
    const reader = worker.session();
    expect(reader.send("select 1")).toBe(0);
    worker.nowMs += 500;
    worker.mutations.expire();
    expect(reader.send("select 1")).toBe(1);
  });

  test("no more tables of a database are kept than track_table_mutation_table_size", () => {
    const worker = new Worker();
    for (let i = 0; i <= 128; i += 1) worker.mutations.writtenElsewhere("shop", [`t${i}`]);
    const reader = worker.session();
    const kept = ["t0", "t1", "t128"].map((table) => reader.send(`select * from ${table}`));
    expect(kept).toEqual([1, 0, 0]);
  });
});

test("a written table counts for the delay of the slowest standby times the factor, within bounds", () => {
  const life = (
    standby: Parameters<typeof backend>[1],
    own: Partial<MutationSettings> = {},
  ): number => {
    const backends = [backend(0, { replicationDelayMs: 99_000 }), backend(1), backend(2, standby)];
    return mutationLifeMs(view({ backends }), { ...SETTINGS, ...own });
  };
  expect(life({ replicationDelayMs: 400 })).toBe(2000);
  expect(life({ replicationDelayMs: 400 }, { track_table_mutation_max_staleness: 1500 })).toBe(
    1500,
  );
  expect(life({})).toBe(1000);
  expect(life({ replicationDelayBytes: 10 })).toBe(5000);
  expect(life({ replicationDelayMs: 9000, state: "down" })).toBe(1000);
});
