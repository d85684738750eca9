import { describe, expect, it } from "vitest";
import {
  formatDone,
  formatNodeCount,
  formatNodeInfo,
  formatPoolStatus,
  formatProcesses,
} from "../../../../src/cli/pcp/output.ts";
import { formatLocalTime } from "../../../../src/os/index.ts";
import { formatWatchdogInfo } from "../../../../src/cli/pcp/watchdog-output.ts";
import { formatWatchdogJson, type NodeInfoRow } from "../../../../src/wire/pcp/index.ts";
import { threeNodes } from "../../../support/pcp-views.ts";

const ROW: NodeInfoRow = {
  hostname: "127.0.0.1",
  port: "23902",
  status: 2,
  isQuarantined: false,
  pgStatus: "up",
  weight: 1 / 3,
  role: 2,
  pgRole: "primary",
  delayIsTime: false,
  delay: 0,
  replicationState: "",
  replicationSyncState: "",
  changedAtSeconds: 1795305127,
};
const TIME = formatLocalTime(ROW.changedAtSeconds * 1000);
const PLAIN = { verbose: false, all: false };
const VERBOSE = { verbose: true, all: false };

describe("pcp_node_info", () => {
  it("prints one line a backend", () => {
    expect(formatNodeInfo([ROW, { ...ROW, status: 3, isQuarantined: true, role: 3 }], PLAIN)).toBe(
      `127.0.0.1 23902 2 0.333333 up up primary primary 0 none none ${TIME}\n` +
        `127.0.0.1 23902 3 0.333333 quarantine up standby primary 0 none none ${TIME}\n`,
    );
  });

  it("prints one title a line when it may say more", () => {
    expect(formatNodeInfo([ROW], VERBOSE)).toBe(`Hostname               : 127.0.0.1
Port                   : 23902
Status                 : 2
Weight                 : 0.333333
Status Name            : up
Backend Status Name    : up
Role                   : primary
Backend Role           : primary
Replication Delay      : 0
Replication State      : none
Replication Sync State : none
Last Status Change     : ${TIME}

`);
  });

  it("shows a delay that is a time in seconds", () => {
    const late = (delay: number): NodeInfoRow => ({ ...ROW, delayIsTime: true, delay });
    expect(formatNodeInfo([late(1_500_000)], PLAIN)).toContain(" 1.500000 none");
    expect(formatNodeInfo([late(1_500_000)], VERBOSE)).toContain(": 1.500000 second\n");
    expect(formatNodeInfo([late(2_000_000)], VERBOSE)).toContain(": 2.000000 seconds\n");
  });

  it("leaves out slots without a host unless all are asked for", () => {
    const unused = { ...ROW, hostname: "", status: 0 };
    expect(formatNodeInfo([unused], PLAIN)).toBe("No node information available\n\n");
    expect(formatNodeInfo([unused], { ...PLAIN, all: true })).toContain(" unused ");
  });
});

describe("the other pcp_* programs", () => {
  it("print what Pgpool-II's do", () => {
    expect(formatNodeCount("2", PLAIN)).toBe("2\n");
    expect(formatNodeCount("2", VERBOSE)).toBe("Node Count\n____________\n 2\n");
    expect(formatProcesses(["11", "12"], PLAIN)).toBe("11 12 \n");
    expect(formatProcesses(["11", "12"], VERBOSE)).toBe(
      "No \t | \t PID\n_____________________\n0 \t | \t 11\n1 \t | \t 12\n\nTotal Processes:2\n",
    );
    const rows = [{ item: "port", value: "9999", description: "the port" }];
    expect(formatPoolStatus(rows, PLAIN)).toBe("name : port\nvalue: 9999\ndesc : the port\n\n");
    expect(formatPoolStatus(rows, VERBOSE)).toBe(
      "Name [  0]:\tport\nValue:      \t9999\nDescription:\tthe port\n\n",
    );
    expect(formatDone("pcp_attach_node")).toBe("pcp_attach_node -- Command Successful\n");
  });
});

describe("pcp_watchdog_info", () => {
  const json = formatWatchdogJson(threeNodes, -1, "4.3");

  it("prints the cluster, a blank line, and one line a node", () => {
    expect(formatWatchdogInfo(json, false)).toEqual({
      ok: true,
      value: `3 3 YES n1:9999 Linux n1 n1

n1:9999 Linux n1 n1 9999 9000 4 LEADER 0 MEMBER
n2:9999 Linux n2 n2 9999 9000 7 STANDBY 0 MEMBER
Not_Set n3 9999 9000 0 DEAD 0 MEMBER
`,
    });
  });

  it("prints titles, and the fence in force, when it may say more", () => {
    const text = formatWatchdogInfo(json, true);
    expect(text.ok && text.value.split("\n").slice(0, 18)).toEqual([
      "Watchdog Cluster Information ",
      "Total Nodes              : 3",
      "Remote Nodes             : 2",
      "Member Remote Nodes      : 2",
      "Alive Remote Nodes       : 1",
      "Nodes required for quorum: 2",
      "Quorum state             : QUORUM EXIST",
      "Local node escalation    : YES",
      "Leader Node Name         : n1:9999 Linux n1",
      "Leader Host Name         : n1",
      "Term                     : 4",
      "VIP fence                : lifetime",
      "Lease guarantee          : on",
      "",
      "Watchdog Node Information ",
      "Node Name         : n1:9999 Linux n1",
      "Host Name         : n1",
      "Delegate IP       : 10.77.0.100 (fence lifetime)",
    ]);
  });

  it("says what is wrong, and why a node is lost", () => {
    const [n0, n1, n2] = threeNodes.nodes;
    const lost = { ...n2, state: "LOST", lostReason: "NOT REACHABLE" } as typeof n2;
    const troubled = {
      ...threeNodes,
      fence: "none" as const,
      fenceReason: "vip_fence = none",
      leaseGuarantee: false,
      conflict: "02:00:00:00:00:07 answers for it",
      mute: "no space left on device",
      unfit: "e0 has no link",
      nodes: [n0, n1, lost].filter((node) => node !== undefined),
    };
    const text = formatWatchdogInfo(formatWatchdogJson(troubled, -1, "4.3"), true);
    expect(text.ok && text.value.split("\n").slice(10, 16)).toEqual([
      "Term                     : 4",
      "VIP fence                : none (vip_fence = none)",
      "Lease guarantee          : OFF",
      "Address conflict         : 02:00:00:00:00:07 answers for it",
      "Local node is mute       : no space left on device",
      "Local node is unfit      : e0 has no link",
    ]);
    expect(text.ok && text.value).toMatch(
      /Status Name {7}: LOST\n.*\nLost Reason {7}: NOT REACHABLE/,
    );
  });

  it("adds the lifecheck of 4.7", () => {
    const newer = formatWatchdogInfo(formatWatchdogJson(threeNodes, 2, "4.7"), false);
    expect(newer).toMatchObject({
      ok: true,
      value: expect.stringContaining("MEMBER NO\n") as string,
    });
  });

  it("refuses what is no such JSON", () => {
    for (const text of ["", "[]", "{}", '{"WatchdogNodes":1}']) {
      expect(formatWatchdogInfo(text, false).ok).toBe(false);
    }
  });
});
