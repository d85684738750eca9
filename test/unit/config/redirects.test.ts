import { describe, expect, test } from "vitest";
import { readRedirects, readRelationships } from "../../../src/config/index.ts";
import { complaints } from "./load-text.ts";

const LIST = "database_redirect_preference_list";

test.each([
  ["postgres:primary", ["postgres", "primary", 1]],
  [" db[01] : standby(0.3) ", ["db[01]", "standby", 0.3]],
  ["a\\:b:1(0)", ["a:b", 1, 0]],
  ["x:PRIMARY", ["x", "primary", 1]],
])("%j is read", (text, expected) => {
  const { redirects, complaints: wrong } = readRedirects(LIST, text);
  expect(wrong).toEqual([]);
  expect(redirects.map(({ names, node, ratio }) => [names.source, node, ratio])).toEqual([
    expected,
  ]);
});

test("items are apart by commas that no backslash keeps", () => {
  const { redirects } = readRedirects(LIST, "a:primary, b\\,c:1 ,, d:standby");
  expect(redirects.map(({ names }) => names.source)).toEqual(["a", "b,c", "d"]);
});

const SERVERS = `backend_hostname0 = 'a'
backend_port0 = 5432
backend_hostname1 = 'b'
backend_port1 = 5432
sr_check_user = 'x'
`;

describe("named at the start and at a reload", () => {
  test.each([
    [`${LIST} = 'a:2'`, `${LIST} sends "a" to node 2, which does not exist`],
    [`${LIST} = 'a:primary(1.5)'`, `"a:primary(1.5)" in ${LIST} has the ratio "1.5"`],
    [`${LIST} = 'a:primary(-1)'`, `has the ratio "-1"`],
    [`${LIST} = 'a:b'`, `"a:b" in ${LIST} names no node`],
    [`${LIST} = 'a'`, `"a" in ${LIST} names no node`],
    [`user_redirect_preference_list = '(:1'`, `is no regular expression: a "(" is not closed`],
    [`app_name_redirect_preference_list = '*:1'`, `nothing stands before "*"`],
    ["write_function_list = 'f(,good'", `"f(" in write_function_list is no regular expression`],
    ["primary_routing_query_pattern_list = 'a;[b'", `"[b" in primary_routing_query_pattern_list`],
    ["backend_weight1 = -1", "backend_weight1"],
    ["dml_adaptive_object_relationship_list = 'a:b,c'", `"c" in dml_adaptive_object`],
  ])("%s", (line, message) => {
    const found = complaints(SERVERS + line).filter((each) => each.includes(": error: "));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(message);
  });
});

test("of related objects functions are written with brackets", () => {
  expect(readRelationships("Table_1:Table_2, f( ):t").relationships).toEqual([
    { object: "table_1", isFunction: false, dependent: "table_2" },
    { object: "f", isFunction: true, dependent: "t" },
  ]);
});
