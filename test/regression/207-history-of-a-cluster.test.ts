/** Maintenance and the history as three nodes see them, also behind the death of their leader. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { HistoryEntry } from "../../src/backend/index.ts";
import type { NodeHistory } from "../../src/wire/ipc/index.ts";
import { LoopbackCluster, until, type LoopbackNode } from "../support/loopback-cluster.ts";

let cluster: LoopbackCluster;
/** Those that live. */
let nodes: readonly LoopbackNode[];

beforeAll(async () => {
  cluster = await LoopbackCluster.start({
    standbysCount: 1,
    nodesCount: 3,
    config: ["health_check_period = 1", "failover_command = 'sh DIRECTORY/failover.sh'"],
  });
  const runs = join(cluster.directory, "runs");
  const script = `echo "$PGQUORUM_EPOCH" >> ${runs}\n${cluster.servers[1]?.promoteCommand}\n`;
  writeFileSync(join(cluster.directory, "failover.sh"), script);
  ({ nodes } = cluster);
}, 120_000);

afterAll(async () => await cluster.stop());

async function historyOf(node: LoopbackNode): Promise<readonly HistoryEntry[]> {
  const { stdout, exitCode } = await node.ask("history", "--json", "--limit", "100");
  if (exitCode !== 0) return [];
  const entries = (JSON.parse(stdout) as NodeHistory).entries as readonly HistoryEntry[];
  // While nobody leads a node may keep away from a lost server by itself.
  return entries.filter(({ kind }) => kind !== "quarantine" && kind !== "release");
}

async function untilAll(
  what: string,
  isSo: (node: LoopbackNode) => Promise<boolean>,
): Promise<void> {
  await until(what, async () => (await Promise.all(nodes.map(isSo))).every(Boolean), 60_000);
}

async function primaryOf(node: LoopbackNode): Promise<number | null> {
  return (await node.status())?.view.primaryId ?? null;
}

it("maintenance is asked for on any node, holds on all, and outlives its leader", async () => {
  await untilAll("all know the primary", async (node) => (await primaryOf(node)) === 0);
  const leader = await cluster.leader();
  const follower = nodes.find((node) => node !== leader);
  const asked = await follower?.ask("maintenance", "on", "--reason", "a new switch");
  expect(asked).toMatchObject({ exitCode: 0, stderr: "" });
  await untilAll("all say so", async (node) => {
    const maintenance = (await node.status())?.view.maintenance;
    return maintenance?.reason === "a new switch" && /on node \d$/.test(maintenance.by);
  });
  const client = follower?.client();
  await client?.connect();
  const notices: (string | undefined)[] = [];
  client?.on("notice", ({ message }) => notices.push(message));
  await client?.query("show pool_nodes");
  expect(notices).toEqual([
    expect.stringMatching(/^maintenance is on since .*: a new switch; no /),
  ]);
  const status = await client?.query("show pool_status");
  const [row] = status?.rows.filter(({ item }) => item === "maintenance") ?? [];
  expect(row).toMatchObject({ value: expect.stringContaining("a new switch") });
  await client?.end();
  await cluster.servers[0]?.stop("immediate");
  await until("the leader says what it does not do", () =>
    leader.log.includes("would detach node 0, but maintenance has been on"),
  );
  leader.kill();
  nodes = nodes.filter((node) => node !== leader);
  const next = await cluster.leader(nodes);
  await until("so does the next", () =>
    next.log.includes("would detach node 0, but maintenance has been on"),
  );
  for (const node of nodes) {
    expect((await historyOf(node)).map(({ kind }) => kind)).toEqual(["primary", "maintenance-on"]);
  }
}, 90_000);

it("what happens then is on record on every node: votes, steps and command", async () => {
  const ended = await nodes[0]?.ask("maintenance", "off");
  expect(ended).toMatchObject({ exitCode: 0, stdout: "maintenance is off\n" });
  await untilAll("all know the new primary", async (node) => (await primaryOf(node)) === 1);
  await untilAll("all have it on record", async (node) =>
    (await historyOf(node)).some(({ kind }) => kind === "detach"),
  );
  const [one, other] = await Promise.all(nodes.map(historyOf));
  expect(one).toEqual(other);
  expect(one?.map(({ kind }) => kind)).toEqual([
    "primary",
    "maintenance-on",
    "maintenance-off",
    "detach",
  ]);
  const failover = one?.at(-1);
  expect(failover).toMatchObject({ outcome: "done", oldPrimaryId: 0, newPrimaryId: 1 });
  expect(new Set(failover?.votes.map(({ nodeId }) => nodeId)).size).toBe(2);
  const at = failover?.steps.map((step) => step.at) ?? [];
  expect(at).toEqual(at.toSorted((before, after) => before - after));
  expect(failover?.steps.map(({ name }) => name)).toEqual([
    "granted",
    "committed",
    "no node uses the old state",
    "node 1 is the primary",
  ]);
  const runs = readFileSync(join(cluster.directory, "runs"), "utf8");
  expect(runs).toBe(`${failover?.commands[0]?.epoch}\n`);
}, 90_000);
