import { expect, test } from "vitest";
import { parseOwnCommand } from "../../../../../src/proxy/core/show/index.ts";
import { createClassifier } from "../../../../../src/proxy/core/sql/index.ts";

const classifier = createClassifier({
  parse: () => ({}),
  cacheEntriesMax: 10,
  parseBytesMax: 10_000,
});

function parse(text: string): unknown {
  return parseOwnCommand(classifier.classify(text), text);
}

test.each([
  ["SHOW pool_nodes;", { kind: "show-pool", name: "pool_nodes" }],
  ["pgpool show Port", { kind: "show-parameter", name: "port" }],
  ["PGPOOL SHOW ALL;", { kind: "show-parameter", name: "all" }],
  ["pgpool set a to 10", { kind: "set", name: "a", value: "10" }],
  ["pgpool set a = on;", { kind: "set", name: "a", value: "on" }],
  ["pgpool set a to -1", { kind: "set", name: "a", value: "-1" }],
  ["pgpool set a to 5min", { kind: "set", name: "a", value: "5min" }],
  ["pgpool set a to 'it''s'", { kind: "set", name: "a", value: "it's" }],
  ["pgpool set a to default", { kind: "set", name: "a", value: null }],
  ["pgpool set cache delete 'select ''a'';';", { kind: "cache-delete", query: "select 'a';" }],
  ["pgpool set cache to 1", { kind: "set", name: "cache", value: "1" }],
  ["pgpool reset a", { kind: "reset", name: "a" }],
  ["pgpool reset all ;", { kind: "reset", name: null }],
  ["pgpool explain route select 1", { kind: "explain-route", text: "select 1" }],
])("%s is understood", (text, command) => {
  expect(parse(text)).toEqual(command);
});

test.each([
  ["pgpool", "syntax error at end of input"],
  ["pgpool foo", 'syntax error at or near "foo"'],
  ["pgpool show", "syntax error at end of input"],
  ["pgpool show a b", 'syntax error at or near "b"'],
  ["pgpool set a 10", 'syntax error at or near "10"'],
  ["pgpool set a to", "syntax error at end of input"],
  ["pgpool set a to 1 2", 'syntax error at or near "2"'],
  ["pgpool set cache delete", "syntax error at end of input"],
  ["pgpool set cache delete a", 'syntax error at or near "a"'],
  ["pgpool set cache delete 'a' 'b'", `syntax error at or near "'b'"`],
  ["pgpool reset 5", 'syntax error at or near "5"'],
  ["pgpool explain select 1", 'syntax error at or near "select"'],
])("%s is wrong, and it is said where", (text, message) => {
  expect(parse(text)).toMatchObject({ kind: "wrong", failure: { sqlstate: "42601", message } });
});
