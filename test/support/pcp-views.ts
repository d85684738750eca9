import type { BackendView, ClusterView, WatchdogView } from "../../src/wire/ipc/index.ts";

/** A backend that is up; a test changes what it is about. */
export function backendView(own: Partial<BackendView> = {}): BackendView {
  return {
    id: 0,
    hostname: "127.0.0.1",
    port: 5432,
    weight: 1,
    state: "up",
    quarantined: false,
    stateChangedAt: 1795305127_000,
    pgStatus: "up",
    pgRole: "primary",
    replicationDelayBytes: 0,
    replicationDelayMs: 0,
    replicationState: "",
    replicationSyncState: "",
    selectCount: 0,
    ...own,
  };
}

/** A primary and a streaming standby that takes twice its share of the reads. */
export const twoBackends: ClusterView = {
  epoch: 1,
  primaryId: 0,
  index: 1,
  awaitsPrimary: false,
  maintenance: null,
  refusal: null,
  isStreaming: true,
  delayIsTime: false,
  backends: [
    backendView({ port: 23902, weight: 1 / 3 }),
    backendView({
      id: 1,
      port: 23903,
      weight: 2 / 3,
      pgRole: "standby",
      replicationDelayBytes: 30,
      replicationDelayMs: 0,
      replicationState: "streaming",
      replicationSyncState: "async",
    }),
  ],
};

/** Three nodes as node 0, the leader, sees them; node 2 was never heard of. */
export const threeNodes: WatchdogView = {
  selfId: 0,
  term: 4,
  leaderId: 0,
  isLeader: true,
  knownUntilMs: null,
  hasQuorum: true,
  quorumStatus: 1,
  holdsVip: true,
  vip: "10.77.0.100",
  fence: "lifetime",
  fenceReason: "",
  leaseGuarantee: true,
  mute: null,
  conflict: null,
  unfit: null,
  members: [0, 1, 2],
  memberCount: 3,
  aliveRemoteCount: 1,
  neededForQuorum: 2,
  guardianPid: 4711,
  differences: [],
  nodes: [
    {
      id: 0,
      name: "n1:9999 Linux n1",
      hostname: "n1",
      pgpoolPort: 9999,
      wdPort: 9000,
      state: "LEADER",
      priority: 3,
      membership: "MEMBER",
      lostReason: "",
    },
    {
      id: 1,
      name: "n2:9999 Linux n2",
      hostname: "n2",
      pgpoolPort: 9999,
      wdPort: 9000,
      state: "STANDBY",
      priority: 2,
      membership: "MEMBER",
      lostReason: "",
    },
    {
      id: 2,
      name: "",
      hostname: "n3",
      pgpoolPort: 9999,
      wdPort: 9000,
      state: "DEAD",
      priority: 1,
      membership: "MEMBER",
      lostReason: "",
    },
  ],
};
