import { describe, expect, it } from "vitest";
import { composeStatus, formatStatus, leadersOf } from "../../../scripts/lab.d/status.ts";
import type { BackendView, NodeStatus } from "../../../src/wire/ipc/index.ts";

const plan = {
  directory: "/lab",
  mode: "namespaces",
  nodesCount: 3,
  isDatabaseApart: false,
} as const;

function backend(id: number, state: BackendView["state"]): BackendView {
  return {
    id,
    hostname: `10.77.0.${11 + id}`,
    port: 5432,
    weight: 1 / 3,
    state,
    quarantined: false,
    stateChangedAt: 0,
    pgStatus: "up",
    pgRole: "standby",
    replicationDelayBytes: 0,
    replicationDelayMs: 0,
    replicationState: "",
    replicationSyncState: "",
    stateReason: "",
    problem: null,
    timeline: null,
    systemIdentifier: null,
    walLsn: null,
    receivedLsn: null,
    selectCount: 0,
  };
}

/** What node `id` answers when `leaderId` leads and backend 1 is primary. */
function answer(id: number, leaderId: number, states: BackendView["state"][]): NodeStatus {
  const state = id === leaderId ? "LEADER" : "STANDBY";
  return {
    version: "0",
    node: { id, hostname: "", state, startedAt: 0, configFile: "", pgpoolPort: 9999 },
    pids: { supervisor: 10 + id, watchdog: 20 + id, guardian: 30 + id, workers: [40 + id] },
    workers: { restarts: 0 },
    pauses: [],
    quarantines: [],
    clients: {
      clients: 0,
      placesMax: 32,
      waiting: 0,
      waited: 0,
      refused: 0,
      timedOut: 0,
      longestWaitMs: 0,
    },
    watchdog: {
      selfId: id,
      term: 7,
      leaderId,
      isLeader: id === leaderId,
      knownUntilMs: null,
      hasQuorum: true,
      quorumStatus: 1,
      holdsVip: false,
      vip: "10.77.0.100",
      fence: "lifetime",
      fenceReason: "",
      leaseGuarantee: true,
      mute: null,
      conflict: null,
      unfit: null,
      members: [0, 1, 2],
      memberCount: 3,
      aliveRemoteCount: 2,
      neededForQuorum: 2,
      guardianPid: 30 + id,
      differences: [],
      nodes: [],
    },
    view: {
      epoch: 1,
      primaryEpoch: 1,
      primaryId: 1,
      backends: states.map((each, index) => backend(index, each)),
      index: 1,
      awaitsPrimary: false,
      maintenance: null,
      drainingId: null,
      refusal: null,
      isStreaming: true,
      delayIsTime: false,
    },
  };
}

describe("the status of the lab", () => {
  it("has a row for each host, and a silent node is DOWN", () => {
    const status = composeStatus(plan, ["n2"], [null, answer(1, 1, []), answer(2, 1, [])]);
    expect(status.vip).toEqual({ address: "10.77.0.100", holder: "n2" });
    expect(status.nodes.map((node) => [node.host, node.state, node.leader])).toEqual([
      ["n1", "DOWN", null],
      ["n2", "LEADER", "n2"],
      ["n3", "STANDBY", "n2"],
    ]);
    expect(status.nodes[0]).toMatchObject({
      quorum: null,
      fence: null,
      pids: { supervisor: null, workers: [] },
    });
    expect(status.nodes[2]).toMatchObject({ term: 7, quorum: true, fence: "lifetime" });
    expect(leadersOf(status)).toEqual(["n2"]);
  });

  it("believes the kernels about the VIP: nobody, one, or a list when more than one has it", () => {
    const holder = (holders: string[]) => composeStatus(plan, holders, []).vip.holder;
    expect(holder([])).toBeNull();
    expect(holder(["n3"])).toBe("n3");
    expect(holder(["n1", "n3"])).toEqual(["n1", "n3"]);
  });

  it("takes the backends from the leader, not from a node that may be behind", () => {
    const answers = [answer(0, 2, ["up", "up", "up"]), null, answer(2, 2, ["down", "up", "up"])];
    expect(composeStatus(plan, [], answers).backends).toEqual([
      { id: 0, host: "n1", port: 5432, status: "down", role: "standby" },
      { id: 1, host: "n2", port: 5432, status: "up", role: "primary" },
      { id: 2, host: "n3", port: 5432, status: "up", role: "standby" },
    ]);
  });

  it("is a table for people", () => {
    const text = formatStatus(composeStatus(plan, ["n1", "n2"], [answer(0, 0, ["up", "up"])]));
    expect(text).toContain("held by n1 and n2");
    expect(text).toMatch(/^n1 +LEADER +7 +n1 +yes +lifetime +10$/m);
    expect(text).toMatch(/^n2 +DOWN +-/m);
    expect(text).not.toMatch(/ $/m);
  });
});
