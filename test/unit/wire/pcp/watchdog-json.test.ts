import { describe, expect, it } from "vitest";
import { formatWatchdogJson } from "../../../../src/wire/pcp/index.ts";
import { threeNodes } from "../../../support/pcp-views.ts";

describe("the watchdog's JSON", () => {
  it("has Pgpool-II's keys in its order, its one blank, and our own behind all", () => {
    expect(formatWatchdogJson({ ...threeNodes, vip: null, holdsVip: false }, 1, "4.3")).toBe(
      '{"RemoteNodeCount":2,"MemberRemoteNodeCount":2,"NodesRequireForQuorum":2,"QuorumStatus":1,' +
        '"AliveNodeCount":1,"Escalated":1,"LeaderNodeName":"n1:9999 Linux n1","LeaderHostName":"n1",' +
        '"NodeCount":1,"WatchdogNodes": [{"ID":1,"State":7,"Membership":0,"MembershipString":"MEMBER",' +
        '"NodeName":"n2:9999 Linux n2","HostName":"n2","StateName":"STANDBY","DelegateIP":"Not_Set",' +
        '"WdPort":9000,"PgpoolPort":9999,"Priority":2,"LostReason":""}],"Term":4,' +
        '"VipFence":"lifetime","VipFenceReason":"","LeaseGuarantee":1,"VipConflict":"","Mute":"","Unfit":""}',
    );
  });

  it("answers a node that does not exist as Pgpool-II does", () => {
    const json = formatWatchdogJson(threeNodes, 7, "4.3");
    expect(json).toContain(
      '"NodeCount":1,"WatchdogNodes": [{"ID":-1,"State":-1,"Membership":-1,"MembershipString":"Not_Set",' +
        '"NodeName":"Not_Set","HostName":"Not_Set","StateName":"Not_Set","DelegateIP":"Not_Set",' +
        '"WdPort":0,"PgpoolPort":0,"Priority":0}]',
    );
  });

  it("lists all nodes for -1, and is JSON", () => {
    const info = JSON.parse(formatWatchdogJson(threeNodes, -1, "4.7")) as {
      WatchdogNodes: readonly Record<string, unknown>[];
    };
    expect(info).toMatchObject({ NodeCount: 3, Escalated: 1 });
    expect(info.WatchdogNodes).toMatchObject([
      { ID: 0, State: 4, DelegateIP: "10.77.0.100 (fence lifetime)", LifecheckStarted: 1 },
      { ID: 1, State: 7, DelegateIP: "10.77.0.100", LifecheckStarted: 1 },
      { ID: 2, State: 0, NodeName: "Not_Set", LifecheckStarted: 0 },
    ]);
  });

  it.each(["4.3", "4.4", "4.5", "4.6"] as const)("knows no LifecheckStarted in %s", (layout) => {
    expect(formatWatchdogJson(threeNodes, -1, layout)).not.toContain("LifecheckStarted");
  });

  it.each([
    ["exists", threeNodes, 1],
    ["is on the edge", { ...threeNodes, quorumStatus: 0 as const }, 0],
    ["is absent", { ...threeNodes, quorumStatus: -1 as const }, -1],
    ["has no leader", { ...threeNodes, leaderId: null, quorumStatus: -2 as const }, -2],
  ])("says by number that the quorum %s", (_what, view, status) => {
    expect(formatWatchdogJson(view, -1, "4.3")).toContain(`"QuorumStatus":${status},`);
  });

  it("names an unknown leader as Pgpool-II does, and nothing escalated", () => {
    const view = {
      ...threeNodes,
      leaderId: null,
      isLeader: false,
      hasQuorum: false,
      holdsVip: false,
    };
    expect(formatWatchdogJson(view, -1, "4.3")).toContain(
      '"Escalated":0,"LeaderNodeName":"Not Set","LeaderHostName":"Not Set"',
    );
  });

  it("tells in the local node's address how sure it is, which Pgpool-II's clients print", () => {
    const unsure = {
      ...threeNodes,
      fence: "nft" as const,
      leaseGuarantee: false,
      conflict: "02:00:00:00:00:07 answers for it",
      mute: "the disk is full",
      unfit: "e0 has no link",
    };
    expect(formatWatchdogJson(unsure, 0, "4.3")).toContain(
      '"DelegateIP":"10.77.0.100 (fence nft, lease guarantee off, address conflict, mute, unfit)"',
    );
  });

  it.each([
    ["MEMBER", 0, 2],
    ["REVOKED-SHUTDOWN", 1, 1],
    ["REVOKED-NO-SHOW", 2, 1],
    ["REVOKED-LOST", 3, 1],
  ] as const)("numbers the membership %s, and counts members only", (membership, number, count) => {
    const nodes = threeNodes.nodes.map((node) => (node.id === 2 ? { ...node, membership } : node));
    const json = formatWatchdogJson({ ...threeNodes, nodes }, 2, "4.3");
    expect(json).toContain(`"Membership":${number},"MembershipString":"${membership}"`);
    expect(json).toContain(`"RemoteNodeCount":2,"MemberRemoteNodeCount":${count},`);
  });

  it("counts all remote members also on a node that is none itself", () => {
    const nodes = threeNodes.nodes.map((node) =>
      node.id === 0 ? { ...node, membership: "REVOKED-LOST" as const } : node,
    );
    const view = { ...threeNodes, nodes, members: [1, 2], memberCount: 2 };
    expect(formatWatchdogJson(view, -1, "4.3")).toContain('"MemberRemoteNodeCount":2,');
  });
});
