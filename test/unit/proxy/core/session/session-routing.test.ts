import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  route,
  type RoutingConfig,
  type RoutingContext,
} from "../../../../../src/proxy/core/routing/index.ts";
import {
  SessionRouting,
  type Destination,
} from "../../../../../src/proxy/core/session/session-routing.ts";
import { CLIENT } from "../../../../support/routing.ts";
import { backend, context, view } from "../routing/context.ts";
import { realClassifier } from "../sql/parser.ts";

const classifier = await realClassifier();

function routingOf(at: RoutingContext): SessionRouting {
  return new SessionRouting({
    rules: at.rules,
    view: at.view,
    loadBalanceNode: at.loadBalanceNode,
    client: CLIENT,
    catalog: null,
    mutations: null,
    nextRandom: () => at.randomUnit,
  });
}

function idsOf(destination: Destination): readonly number[] {
  switch (destination.kind) {
    case "backend":
      return [destination.backendId];
    case "all":
      return destination.backendIds;
    case "nowhere":
      return [];
  }
}

const TEXTS = [
  "select 1",
  "/* x */ select 1",
  "select f()",
  "select * from pg_class",
  "insert into t values (1)",
  "begin",
  "set a.b = 1",
  "set transaction read write",
  "discard all",
  "copy t to stdout",
  "selec",
  "",
];

const anyBackend = (id: number) =>
  fc
    .record({
      weight: fc.constantFrom(0, 0.5, 1),
      state: fc.constantFrom("up" as const, "waiting" as const, "down" as const),
      quarantined: fc.boolean(),
      replicationDelayBytes: fc.constantFrom(0, 10, 1000),
      replicationDelayMs: fc.constantFrom(0, 20),
    })
    .map((own) => backend(id, own));

const anyView = fc.record({
  primaryId: fc.constantFrom(null, 0, 1, 2),
  backends: fc.tuple(anyBackend(0), anyBackend(1), anyBackend(2)),
});

const anyConfig: fc.Arbitrary<Partial<RoutingConfig>> = fc.record({
  load_balance_mode: fc.boolean(),
  delay_threshold: fc.constantFrom(0, 100),
  delay_threshold_by_time: fc.constantFrom(0, 10),
  prefer_lower_delay_standby: fc.boolean(),
  primary_routing_query_pattern_list: fc.constantFrom([], ["select 1"]),
});

describe("a statement goes", () => {
  test("where the rules of routing send it, before and after the view changes", () => {
    const texts = fc.array(fc.constantFrom(...TEXTS), { maxLength: 8 });
    const views = fc.array(anyView, { minLength: 1, maxLength: 3 });
    const node = fc.constantFrom(null, 0, 1, 2);
    fc.assert(
      fc.property(views, texts, anyConfig, node, fc.boolean(), (views, texts, own, node, inTx) => {
        const first = context({ view: view(views[0]), loadBalanceNode: node }, own);
        const routing = routingOf(first);
        for (const each of views) {
          const now = { ...first, view: view(each), inTransaction: inTx };
          routing.view = now.view;
          for (const text of texts) {
            const sql = classifier.classify(text);
            const found = routing.ofStatement(sql, text, inTx);
            expect(idsOf(found)).toEqual(route(sql, { ...now, text }).targets);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test("there by one object that is made once", () => {
    const routing = routingOf(context());
    for (const text of ["select 1", "insert into t values (1)", "set a.b = 1"]) {
      const sql = classifier.classify(text);
      const found = routing.ofStatement(sql, text, false);
      expect(routing.ofStatement(sql, text, false)).toBe(found);
    }
  });

  test("to the node that is drawn for it alone, if statements are balanced", () => {
    const drawn = [0, 0.1, 0.5, 0.9];
    const rules = context({}, { statement_level_load_balance: true }).rules;
    const nextRandom = (): number => drawn.shift() ?? 0;
    const routing = new SessionRouting({
      rules,
      view: view(),
      loadBalanceNode: 0,
      client: CLIENT,
      catalog: null,
      mutations: null,
      nextRandom,
    });
    const sql = classifier.classify("select 1");
    const ids = [1, 2, 3].map(() => idsOf(routing.ofStatement(sql, "select 1", false)));
    expect(ids).toEqual([[0], [1], [2]]);
  });
});

test("a statement that has no target says why", () => {
  const routing = routingOf(context({ view: view({ primaryId: null }) }));
  const text = "insert into t values (1)";
  const found = routing.ofStatement(classifier.classify(text), text, false);
  expect(found).toMatchObject({ kind: "nowhere" });
  expect(JSON.stringify(found)).toContain("no primary is known, and a statement of kind write");
});
