import { expect, test } from "vitest";
import {
  explainRoute,
  route,
  type RoutingConfig,
  type RoutingContext,
} from "../../../../../src/proxy/core/routing/index.ts";
import { realClassifier } from "../sql/parser.ts";
import { context } from "./context.ts";

const classifier = await realClassifier();

function explained(
  text: string,
  own: Partial<RoutingContext> = {},
  ownConfig: Partial<RoutingConfig> = {},
): Readonly<Record<string, string>> {
  const sql = classifier.classify(text);
  const all = context({ text, ...own }, ownConfig);
  return Object.fromEntries(explainRoute(sql, route(sql, all), all));
}

test("a read says which node it was given, and by what", () => {
  expect(explained("select a from t")).toEqual({
    statement: "read",
    "may write": "no",
    node: "1",
    server: "h1:5432 (standby)",
    rule: "read",
    reason: "a read, for a node chosen by weight",
    "node chosen by": "weight",
    "what would change it": "Change the weights, or use a *_redirect_preference_list.",
  });
});

test("a function names itself, its list and the node", () => {
  expect(explained("select my_func(1)", {}, { write_function_list: ["my_.*"] })).toMatchObject({
    "may write": "yes",
    node: "0",
    server: "h0:5432 (primary)",
    rule: "function",
    function: "my_func, which may write",
    "its volatility": "not looked up",
    "decided by": "write_function_list",
    "what would change it": "Take it from write_function_list when it only reads.",
  });
});

test("an open transaction is named, with what ends it", () => {
  expect(explained("select 1", { inTransaction: true })).toMatchObject({
    node: "0",
    rule: "transaction",
    "what would change it": "Run it outside of an explicit transaction, or before it writes.",
  });
});

test("SET goes to all nodes of the session", () => {
  expect(explained("set a.b = 1")).toMatchObject({ node: "0, 1", rule: "session-state" });
});

test("what has no remedy says so", () => {
  expect(explained("insert into t values (1)")["what would change it"]).toMatch(/^nothing/);
});
