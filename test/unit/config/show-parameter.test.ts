import { expect, test } from "vitest";
import {
  changeForSession,
  changedForSession,
  isParameterGroup,
  showParameter,
} from "../../../src/config/index.ts";
import { configOf, NODE_ID_1, ONE_BACKEND, THREE_NODES } from "./load-text.ts";

const TWO = `${ONE_BACKEND}backend_weight0 = 1
backend_hostname1 = 'server2'
backend_port1 = 5433
backend_weight1 = 3
health_check_period = 10
health_check_period1 = 7
health_check_password = 'secret'
authentication_timeout = 60
memqcache_total_size = 64MB
`;
const config = configOf(`${THREE_NODES}${TWO}`, NODE_ID_1);

function shown(name: string): unknown {
  const result = showParameter(config, name);
  if (!result.ok) return result.error;
  const { value } = result;
  return value.kind === "single"
    ? value.value
    : value.rows.map((row) => `${row.item}=${row.value}`);
}

test.each([
  ["authentication_timeout", "1min"],
  ["memqcache_total_size", "64MB"],
  ["client_idle_limit", "0"],
  ["load_balance_mode", "on"],
  ["log_min_messages", "warning"],
  [
    "health_check_password",
    ["health_check_password=*****", "health_check_password0=*****", "health_check_password1=*****"],
  ],
  ["backend_port1", "5433"],
  ["backend_port9", "0"],
  ["health_check_period1", "7"],
  [
    "health_check_period",
    ["health_check_period=10", "health_check_period0=10", "health_check_period1=7"],
  ],
  ["backend_weight", ["backend_weight0=1", "backend_weight1=3"]],
  ["recovery_password", "*****"],
])("PGPOOL SHOW %s", (name, value) => {
  expect(shown(name)).toEqual(value);
  expect(isParameterGroup(name)).toBe(Array.isArray(value));
});

test("groups show their members slot by slot", () => {
  const backend = shown("backend") as string[];
  expect(backend).toHaveLength(12);
  expect(backend.slice(6, 8)).toEqual(["backend_hostname1=server2", "backend_port1=5433"]);
  expect((shown("watchdog") as string[]).slice(0, 2)).toEqual([
    expect.stringMatching(/^hostname0=/),
    expect.stringMatching(/^pgpool_port0=/),
  ]);
  expect(shown("health_check")).toHaveLength(24);
});

test("ALL shows the groups, then longer names before shorter ones, and no secret", () => {
  const all = shown("all") as string[];
  expect(all[0]).toMatch(/^backend_hostname0=/);
  const plain = all.map((line) => line.split("=")[0] ?? "").filter((name) => !/[0-9]$/.test(name));
  const rest = plain.slice(plain.indexOf("connect_timeout") + 1);
  expect(rest).toEqual(rest.toSorted((left, right) => right.length - left.length));
  expect(all.join("\n")).not.toContain("secret");
});

test("an unknown name names the nearest one", () => {
  expect(shown("load_balance_mod")).toEqual({ kind: "unknown", nearest: "load_balance_mode" });
});

test("a session changes what a session may change, and has it back", () => {
  const set = changeForSession(config, config, "client_idle_limit", "5min");
  if (!set.ok) throw new Error("refused");
  expect(set.value.client_idle_limit).toBe(300);
  expect(changedForSession(set.value, config)).toEqual(["client_idle_limit"]);
  const back = changeForSession(set.value, config, "client_idle_limit", null);
  expect(back.ok && changedForSession(back.value, config)).toEqual([]);
});

test.each([
  ["port", "3", { kind: "wrong-context" }],
  ["backend_port0", "3", { kind: "wrong-context" }],
  ["nosuch", "3", { kind: "unknown", nearest: null }],
  ["client_idle_limit", "foo", { kind: "bad-value" }],
  ["log_statement", "maybe", { kind: "bad-value" }],
])("a session cannot set %s to %s", (name, value, error) => {
  expect(changeForSession(config, config, name, value)).toMatchObject({ ok: false, error });
});
