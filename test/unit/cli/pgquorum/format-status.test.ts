import { describe, expect, it } from "vitest";
import {
  formatBackends,
  formatLength,
  formatStatus,
} from "../../../../src/cli/pgquorum/format-status.ts";
import { formatTable } from "../../../../src/cli/pgquorum/table.ts";
import type { NodeStatus } from "../../../../src/wire/ipc/index.ts";
import { threeNodes, twoBackends } from "../../../support/pcp-views.ts";

const STATUS: NodeStatus = {
  version: "0.1.0",
  node: {
    id: 0,
    hostname: "n1",
    state: "LEADER",
    startedAt: 0,
    configFile: "/etc/pgquorum/pgpool.conf",
    pgpoolPort: 9999,
  },
  pids: { supervisor: 10, watchdog: 11, guardian: 12, workers: [13, 14] },
  workers: { restarts: 0 },
  pauses: [],
  quarantines: [],
  clients: {
    clients: 32,
    placesMax: 32,
    waiting: 2,
    waited: 9,
    refused: 1,
    timedOut: 0,
    longestWaitMs: 1234,
  },
  watchdog: threeNodes,
  view: twoBackends,
  cluster: {
    epoch: 3,
    intent: "detach backend 0, promote 1",
    failure: null,
    followingIds: [],
    recovery: null,
  },
};

describe("pgquorum status", () => {
  it("shows the node, its cluster, the backends and what is going on", () => {
    expect(formatStatus(STATUS, 65_000)).toBe(`node 0 (n1:9999) is LEADER, up for 1 min 5 s
  pgquorum 0.1.0, configuration /etc/pgquorum/pgpool.conf
  supervisor 10, watchdog 11, guardian 12, workers 13 14
  clients 32 of 32, waiting 2, waited since start 9 (up to 1.2 s), refused 1

watchdog: term 4, leader 0 (n1), quorum yes (2 of 3 needed), virtual IP 10.77.0.100 held by this node (fence lifetime)
id   host  port  wd_port  state    priority  membership  lost
0 *  n1    9999  9000     LEADER   3         MEMBER
1    n2    9999  9000     STANDBY  2         MEMBER
2    n3    9999  9000     DEAD     1         MEMBER

backend  host       port   status  role     pg_status  pg_role  timeline  weight  delay_bytes  delay_s  replication      selects
0        127.0.0.1  23902  up      primary  up         primary  -         0.333   0            0.000    -                0
1        127.0.0.1  23903  up      standby  up         standby  -         0.667   30           0.000    streaming async  0

failover in progress: detach backend 0, promote 1
`);
  });

  it("says that maintenance is on, and that the last failover has failed", () => {
    const maintenance = { since: 5000, by: "root on node 1", reason: "new disks" };
    const view = { ...STATUS.view, maintenance };
    const failure = "failover_command for node 0 ended with status 1";
    const cluster = { epoch: 3, intent: null, failure, followingIds: [], recovery: null };
    expect(
      formatStatus({ ...STATUS, view, cluster }, 65_000)
        .split("\n\n")
        .slice(-2),
    ).toEqual([
      'the last failover FAILED: failover_command for node 0 ended with status 1; see "pgquorum history"',
      "maintenance is on for 1 min by root on node 1: new disks; no failover happens by itself\n",
    ]);
  });

  it("says what is wrong with the primary", () => {
    const primaryProblem = { text: "was made anew", remedy: "pcp_detach_node -n 0" };
    const plain = { epoch: 3, intent: null, failure: null, followingIds: [], recovery: null };
    expect(formatStatus({ ...STATUS, cluster: { ...plain, primaryProblem } }, 65_000)).toContain(
      "\nbackend 0 was made anew\n  if that was nobody's wish: pcp_detach_node -n 0\n",
    );
  });

  it("names a backend that is paused, and says how long yet", () => {
    const one = { by: "pgquorum pause", since: 1000, until: 61_000, running: 2, isDrained: false };
    const pauses = [
      { ...one, backendId: 0 },
      { ...one, backendId: 1, isDrained: true, running: 0 },
    ];
    expect(formatStatus({ ...STATUS, pauses }, 6000)).toContain(
      `backend 0 is paused by pgquorum pause for 5 s: 2 connections are still busy; it is resumed in 55 s
backend 1 is paused by pgquorum pause for 5 s: nothing runs there; it is resumed in 55 s
`,
    );
  });

  it("names who keeps away from a backend, why, and how many votes are missing", () => {
    const one = { backendId: 1, since: 1000, isInForce: true, canDecide: true };
    const quarantines = [
      { ...one, nodeId: 0, reason: "no answer" },
      { ...one, nodeId: 2, reason: "refused", backendId: 0, isInForce: false },
      { ...one, nodeId: 2, reason: "refused", canDecide: false },
    ];
    expect(formatStatus({ ...STATUS, quarantines }, 6000)).toContain(
      `node 0 has backend 1 in quarantine for 5 s: no answer (2 of 2 votes to detach it, 0 missing)
node 2 asked 5 s ago to detach backend 0: refused (1 of 2 votes to detach it, 1 missing)
node 2 has backend 1 in quarantine for 5 s: refused (2 of 2 votes to detach it, and no quorum to decide)
`,
    );
  });

  it("does without a watchdog", () => {
    const { cluster: _, ...alone } = STATUS;
    const text = formatStatus(
      {
        ...alone,
        node: { ...STATUS.node, id: null, state: "STANDALONE" },
        pids: { supervisor: 10, watchdog: null, guardian: null, workers: [] },
        watchdog: null,
      },
      0,
    );
    expect(text).toMatch(/^node \(n1:9999\) is STANDALONE, up for 0 s\n/);
    expect(text).toContain("supervisor 10, watchdog -, guardian -, workers -\n");
    expect(text).not.toContain("watchdog:");
  });

  it("says that there is no leader, no quorum and no virtual IP", () => {
    const watchdog = { ...threeNodes, leaderId: null, hasQuorum: false, holdsVip: false };
    expect(formatStatus({ ...STATUS, watchdog }, 0)).toContain(
      "no leader, quorum no (2 of 3 needed), virtual IP 10.77.0.100 not held by this node",
    );
    expect(formatStatus({ ...STATUS, watchdog: { ...watchdog, vip: null } }, 0)).toContain(
      "no virtual IP\n",
    );
  });
});

describe("what is wrong with the watchdog", () => {
  it("is told below the nodes, a line each", () => {
    const watchdog = {
      ...threeNodes,
      quorumStatus: 0 as const,
      leaseGuarantee: false,
      fenceReason: "nft is not installed",
      conflict: "02:00:00:00:00:07 answers for it",
      mute: "no space left on device",
      unfit: "e0 has no link",
      differences: [
        { nodeId: 1, name: "max_pool", here: "4", there: "5" },
        { nodeId: 1, name: "backend_port1", here: null, there: "5433" },
        { nodeId: 2, name: "sr_check_password", here: null, there: null },
      ],
    };
    const text = formatStatus({ ...STATUS, watchdog }, 0);
    expect(text).toContain("quorum on the edge (2 of 3 needed)");
    expect(text).toContain("(fence lifetime: nft is not installed)");
    expect(text).toContain(`MEMBER
the lease guarantee is off: enable_consensus_with_half_votes lets two halves elect a leader each
address conflict: 02:00:00:00:00:07 answers for it
this node is mute, it neither votes nor leads: no space left on device
this node is unfit to lead: e0 has no link
node 1 is configured differently, max_pool: 4 here, 5 there
node 1 is configured differently, backend_port1: not set here, 5433 there
node 2 is configured differently, sr_check_password
`);
    const unfenced = { ...threeNodes, fence: "none" as const, leaseGuarantee: false };
    expect(formatStatus({ ...STATUS, watchdog: unfenced }, 0)).toContain(
      "the lease guarantee is off: nothing takes the address from a frozen node\n",
    );
  });
});

describe("pgquorum nodes", () => {
  it("names quarantine and why statements are refused", () => {
    const [primary] = twoBackends.backends;
    if (primary === undefined) throw new Error("no backend");
    const view = {
      ...twoBackends,
      index: 1,
      awaitsPrimary: false,
      maintenance: null,
      drainingId: null,
      refusal: "no quorum",
      backends: [{ ...primary, state: "down", quarantined: true }],
    } as const;
    const text = formatBackends(view, 0);
    expect(text).toContain("quarantine");
    expect(text.endsWith("statements are refused: no quorum\n")).toBe(true);
  });

  it("says why a server is down, what it has become and what brings it back", () => {
    const [primary, standby] = twoBackends.backends;
    if (primary === undefined || standby === undefined) throw new Error("no backends");
    const down = {
      ...primary,
      state: "down",
      stateChangedAt: 1000,
      stateReason: "health check: refused",
      timeline: 1,
      problem: { text: "is a primary of its own beside node 1", remedy: "pcp_recovery_node -n 0" },
    } as const;
    const view = { ...twoBackends, primaryId: 1, backends: [down, standby] };
    const lines = formatBackends(view, 61_000).split("\n").slice(-4);
    expect(lines).toEqual([
      "backend 0 has been down for 1 min: health check: refused",
      "backend 0 is a primary of its own beside node 1: nothing is sent to it",
      "  to bring it back: pcp_recovery_node -n 0",
      "",
    ]);
  });
});

describe("a table", () => {
  it("is as wide as its cells, without blanks at the end of a line", () => {
    expect(
      formatTable(
        ["a", "bb"],
        [
          ["ccc", ""],
          ["", "d"],
        ],
      ),
    ).toBe("a    bb\nccc\n     d\n");
  });
});

describe("a length of time", () => {
  it.each([
    [-5, "0 s"],
    [999, "0 s"],
    [59_000, "59 s"],
    [60_000, "1 min"],
    [3_661_000, "1 h 1 min"],
    [90_000_000, "1 d 1 h"],
    [86_405_000, "1 d"],
  ])("of %i ms reads %s", (milliseconds, text) => {
    expect(formatLength(milliseconds)).toBe(text);
  });
});
