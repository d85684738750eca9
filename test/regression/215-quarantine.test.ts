/** Whole nodes of which single ones lose sight of a server that the others still reach. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeStatus } from "../../src/wire/ipc/index.ts";
import { LoopbackCluster, until } from "../support/loopback-cluster.ts";

const NODES = [0, 1, 2] as const;

let cluster: LoopbackCluster;

beforeAll(async () => {
  cluster = await LoopbackCluster.start({
    standbysCount: 1,
    nodesCount: NODES.length,
    hasRelays: true,
    config: [
      "wd_lease_time = 1000",
      "wd_heartbeat_keepalive = 1",
      "wd_heartbeat_deadtime = 5",
      "health_check_period = 1",
      "health_check_timeout = 2",
      "health_check_max_retries = 0",
      "sr_check_period = 1",
      "failover_command = 'echo %d >> DIRECTORY/failovers'",
    ],
  });
  await until("every node has a primary", async () => {
    return (await statuses()).every((status) => status?.view.primaryId === 0);
  });
  await cluster.leader();
}, 180_000);

afterAll(() => cluster.stop());

async function statuses(): Promise<readonly (NodeStatus | null)[]> {
  return await Promise.all(cluster.nodes.map((node) => node.status()));
}

/** The node and the server hear nothing of each other any more. */
function part(nodeId: number, serverId: number): void {
  cluster.relay(nodeId, serverId).mangle = () => null;
}

function join(nodeId: number, serverId: number): void {
  cluster.relay(nodeId, serverId).mangle = (_connection, _way, chunk) => chunk;
}

/** Who is said, by each node, to keep away from what. */
async function quarantines(): Promise<readonly string[]> {
  return (await statuses()).map((status) =>
    (status?.quarantines ?? [])
      .filter(({ isInForce }) => isInForce)
      .map(({ nodeId, backendId }) => `${nodeId}:${backendId}`)
      .toSorted()
      .join(" "),
  );
}

async function untilQuarantinesAre(wanted: string): Promise<void> {
  await until(`all say "${wanted}" of quarantines`, async () => {
    return (await quarantines()).every((said) => said === wanted);
  });
}

async function leaderId(): Promise<number> {
  return cluster.nodes.indexOf(await cluster.leader());
}

describe("a server that one node alone does not reach", () => {
  it("is kept away from by that node only, which every node shows, until it answers", async () => {
    const lead = await leaderId();
    const follower = (lead + 1) % NODES.length;
    part(follower, 1);
    await untilQuarantinesAre(`${follower}:1`);
    const seen = await statuses();
    const marked = seen.map((status) => status?.view.backends[1]?.quarantined);
    expect(marked).toEqual(NODES.map((id) => id === follower));
    const said = await cluster.nodes[lead]?.ask("status");
    expect(said?.stdout).toMatch(
      new RegExp(
        `node ${follower} has backend 1 in quarantine for .*: health check: no answer within 2000 ms \\(1 of 2 votes to detach it, 1 missing\\)`,
        "u",
      ),
    );
    join(follower, 1);
    await untilQuarantinesAre("");
    expect((await statuses()).map((status) => status?.view.backends[1]?.state)).not.toContain(
      "down",
    );
  });

  it("is detached when a second one has lost it too, which the first then says again", async () => {
    const lead = await leaderId();
    const [one, other] = [(lead + 1) % NODES.length, (lead + 2) % NODES.length];
    part(one, 1);
    await untilQuarantinesAre(`${one}:1`);
    part(other, 1);
    await until("it is detached", async () => {
      return (await statuses()).every((status) => status?.view.backends[1]?.state === "down");
    });
    await untilQuarantinesAre("");
    join(one, 1);
    join(other, 1);
    const attached = await cluster.nodes[lead]?.pcp("pcp_attach_node", 1);
    expect(attached?.stderr).toBe("");
    await until("it is attached", async () => {
      return (await statuses()).every((status) => status?.view.backends[1]?.state === "up");
    });
  });

  it("makes the leader give the lead to one that reaches it, when it is the primary", async () => {
    const before = await leaderId();
    part(before, 0);
    const others = cluster.nodes.filter((_, id) => id !== before);
    await until("another node leads", async () => {
      return (await cluster.leader(others).catch(() => null)) !== null;
    });
    const status = await cluster.nodes[before]?.status();
    expect(status?.watchdog).toMatchObject({
      isLeader: false,
      unfit: "it cannot reach the primary, backend node 0",
    });
    // The others never gave the primary up.
    for (const node of others) expect((await node.status())?.view.primaryId).toBe(0);
    join(before, 0);
    await untilQuarantinesAre("");
    await until("it is fit again", async () => {
      return (await cluster.nodes[before]?.status())?.watchdog?.unfit === null;
    });
  });

  it("is kept away from without a quorum, which alone could decide", async () => {
    const lead = await leaderId();
    for (const [id, node] of cluster.nodes.entries()) if (id !== lead) node.kill();
    part(lead, 1);
    await until("it says that nobody can decide", async () => {
      const all = (await cluster.nodes[lead]?.status())?.quarantines ?? [];
      return all.some(({ backendId, canDecide }) => backendId === 1 && !canDecide);
    });
    const said = await cluster.nodes[lead]?.ask("status");
    expect(said?.stdout).toContain("and no quorum to decide");
  });
});
