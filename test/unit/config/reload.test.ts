import { expect, test } from "vitest";
import { reloadChanges } from "../../../src/config/index.ts";
import { configOf, NODE_ID_1, ONE_BACKEND, THREE_NODES } from "./load-text.ts";

function changes(before: string, after: string): ReturnType<typeof reloadChanges> {
  return reloadChanges(configOf(before, NODE_ID_1), configOf(after, NODE_ID_1));
}

test("nothing changed, nothing to say", () => {
  const text = ONE_BACKEND + THREE_NODES;
  expect(changes(text, text)).toMatchObject({ applied: [], needsRestart: [] });
});

test("values that a reload takes are taken; the others keep the old value", () => {
  const { config, applied, needsRestart } = changes(
    `${ONE_BACKEND}log_connections = off\nport = 1111\nif_up_cmd = 'a'\nif_down_cmd = 'b'\n`,
    `${ONE_BACKEND}log_connections = on\nport = 2222\nlog_statement = on\n`,
  );
  expect(applied).toEqual(["log_connections", "log_statement"]);
  expect(needsRestart).toEqual(["port", "if_up_cmd", "if_down_cmd"]);
  expect(config).toMatchObject({ port: 1111, log_connections: true, if_up_cmd: "a" });
  expect(config.set.has("if_up_cmd")).toBe(true);
  expect(config.set.has("log_statement")).toBe(true);
});

test("a changed password is noticed", () => {
  const { config, applied } = changes(ONE_BACKEND, `${ONE_BACKEND}sr_check_password = 'new'\n`);
  expect(applied).toEqual(["sr_check_password"]);
  expect(config.sr_check_password.reveal()).toBe("new");
});

test("a new server is taken, a server's address and its removal are not", () => {
  const old = `${ONE_BACKEND}backend_port1 = 5433\nbackend_weight1 = 1\n`;
  const added = changes(ONE_BACKEND, old);
  expect(added).toMatchObject({ applied: ["backend_port1"], needsRestart: [] });
  expect(added.config.backends.map(({ id }) => id)).toEqual([0, 1]);

  const removed = changes(old, ONE_BACKEND);
  expect(removed).toMatchObject({ applied: [], needsRestart: ["backend_port1"] });
  expect(removed.config.backends.map(({ id }) => id)).toEqual([0, 1]);

  const moved = changes(old, `${ONE_BACKEND}backend_port1 = 5444\nbackend_weight1 = 2\n`);
  expect(moved).toMatchObject({ applied: ["backend_weight1"], needsRestart: ["backend_port1"] });
  expect(moved.config.backends[1]).toMatchObject({ port: 5433, weight: 2 });
});

test("a health check value for all servers is told once, one of a server under its number", () => {
  const user = `${ONE_BACKEND}health_check_user = 'u'\n`;
  const forAll = changes(user, `${user}health_check_period = 5\n`);
  expect(forAll.applied).toEqual(["health_check_period"]);
  expect(forAll.config.backends[0]?.healthCheck.period).toBe(5);
  const forOne = changes(user, `${user}health_check_period0 = 5\n`);
  expect(forOne.applied).toEqual(["health_check_period0"]);
});

test("the watchdog's members and the node's own number never change by a reload", () => {
  const before = configOf(ONE_BACKEND + THREE_NODES, NODE_ID_1);
  const after = configOf(
    ONE_BACKEND +
      THREE_NODES.replace("'server3'", "'server9'").replace(
        /wd_authkey.*/,
        "wd_authkey = 'another long secret'",
      ),
    { "/etc/pgq/pgpool_node_id": "0" },
  );
  const { config, applied, needsRestart } = reloadChanges(before, after);
  expect(applied).toEqual([]);
  expect(needsRestart).toEqual(["wd_authkey", "hostname2", "pgpool_node_id"]);
  expect(config.nodes).toEqual(before.nodes);
  expect(config.nodeId).toBe(1);
  expect(config.wd_authkey.reveal()).toBe("a long and secret text");
});
