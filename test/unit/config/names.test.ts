import { expect, test } from "vitest";
import { editDistance, resolveName } from "../../../src/config/names.ts";

function nearest(name: string): string | null {
  const meaning = resolveName(name);
  return meaning.kind === "unknown" ? meaning.nearest : meaning.kind;
}

test.each([
  ["num_init_childern", "num_init_children"],
  ["Port", "port"],
  ["helth_check_period", "health_check_period"],
  ["backend_hostnam0", "backend_hostname0"],
  ["hostnmae1", "hostname1"],
  ["max_pools", "max_pool"],
  ["something_else_entirely", null],
  ["x", null],
  ["constructor", null],
  ["__proto__", null],
  ["a".repeat(100_000), null],
])("the name nearest to %j is %j", (name, expected) => {
  expect(nearest(name)).toBe(expected);
});

test.each([
  ["health_check_period", "health_check_period"],
  ["health_check_period1", "health_check_period1"],
  ["connect_timeout12", "connect_timeout12"],
  ["backend_port127", "backend_port127"],
  ["backend_port007", "backend_port7"],
  ["recovery_1st_stage_command", "recovery_1st_stage_command"],
  ["delegate_IP", "delegate_ip"],
  ["socket_dir", "unix_socket_directories"],
  ["logdir", "work_dir"],
  ["black_function_list", "write_function_list"],
])("%j is the parameter %j", (name, key) => {
  expect(resolveName(name)).toMatchObject({ kind: "parameter", key });
});

test.each([
  ["backend_port", "needs a number, as in backend_port0"],
  ["wd_port", "needs a number, as in wd_port0"],
  ["backend_port128", "takes numbers from 0 to 127"],
  ["port0", "takes no number"],
])("%j is told: %s", (name, expected) => {
  expect(resolveName(name)).toEqual({ kind: "wrong-number", expected });
});

test.each(["other_pgpool_hostname0", "master_slave_mode", "heartbeat_destination1", "wd_hostname"])(
  "%j is gone, and the hint says what to do",
  (name) => {
    const meaning = resolveName(name);
    expect(meaning.kind === "dropped" && meaning.hint).toMatch(/set|give/);
  },
);

test.each([
  ["", "", 0],
  ["abc", "abc", 0],
  ["abc", "acb", 1],
  ["abc", "ab", 1],
  ["abc", "xabc", 1],
  ["abc", "axc", 1],
  ["kitten", "sitting", 3],
])("%j is %j with %i slips apart", (left, right, slips) => {
  expect(editDistance(left, right)).toBe(slips);
  expect(editDistance(right, left)).toBe(slips);
});
