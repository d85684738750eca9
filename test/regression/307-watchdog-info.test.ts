/**
 * Debian's C client (4.3.5) shown clusters in trouble: it prints what Pgpool-II's own nodes would
 * give it to print, and in the one place for free text how sure the virtual IP is.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { WatchdogNodeState, WatchdogView } from "../../src/wire/ipc/index.ts";
import { WATCHDOG_STATE_NUMBERS } from "../../src/wire/pcp/index.ts";
import { startTestPcpServer, type TestPcpServer } from "../support/pcp-server.ts";
import { threeNodes } from "../support/pcp-views.ts";
import { oracle, run, testDirectory } from "../support/programs.ts";

let directory: Awaited<ReturnType<typeof testDirectory>>;
let pcp: TestPcpServer;
let view: WatchdogView = threeNodes;

beforeAll(async () => {
  directory = await testDirectory();
  const own = { watchdog: () => view };
  pcp = await startTestPcpServer(directory.path, "4.3", 60_000, own);
});

afterAll(async () => {
  await pcp.server.stop();
  await directory.remove();
});

async function told(shown: Partial<WatchdogView>, ...args: readonly string[]): Promise<string> {
  view = { ...threeNodes, ...shown };
  const env = { PCPPASSFILE: pcp.passFile };
  const ended = await run(oracle("pcp_watchdog_info"), [...pcp.options, ...args], { env });
  expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
  return ended.stdout;
}

/** Node 2 as a test wants it. */
function withNode2(own: Partial<WatchdogView["nodes"][number]>): Partial<WatchdogView> {
  return { nodes: threeNodes.nodes.map((node) => (node.id === 2 ? { ...node, ...own } : node)) };
}

describe("Pgpool-II's own pcp_watchdog_info", () => {
  it.each(Object.entries(WATCHDOG_STATE_NUMBERS))("prints the state %s as %i", async (name, no) => {
    const text = await told(withNode2({ state: name as WatchdogNodeState }));
    expect(text.split("\n")[4]).toBe(`Not_Set n3 9999 9000 ${no} ${name} 0 MEMBER`);
  });

  it.each([
    ["MEMBER", 0, 3],
    ["REVOKED-SHUTDOWN", 1, 2],
    ["REVOKED-NO-SHOW", 2, 2],
    ["REVOKED-LOST", 3, 2],
  ] as const)("prints the membership %s as %i", async (membership, number, members) => {
    const text = await told(withNode2({ membership }));
    expect(text.split("\n")[0]).toBe(`3 ${members} YES n1:9999 Linux n1 n1`);
    expect(text.split("\n")[4]).toBe(`Not_Set n3 9999 9000 0 DEAD ${number} ${membership}`);
  });

  it.each([
    [1, "QUORUM EXIST"],
    [0, "QUORUM IS ON THE EDGE"],
    [-1, "QUORUM ABSENT"],
    [-2, "NO LEADER NODE"],
  ] as const)("prints the quorum %i as %s", async (quorumStatus, text) => {
    expect(await told({ quorumStatus }, "-v")).toContain(`Quorum state             : ${text}\n`);
  });

  it("prints no leader as Pgpool-II does", async () => {
    const nobody = { leaderId: null, isLeader: false, hasQuorum: false };
    expect((await told(nobody)).split("\n")[0]).toBe("3 3 NO Not Set Not Set");
  });

  it("prints how sure the virtual IP is, on the local node, with -v only", async () => {
    const shown = {
      fence: "nft" as const,
      leaseGuarantee: false,
      conflict: "02:00:00:00:00:07 answers for it",
      mute: "no space left on device",
      unfit: "e0 has no link",
    };
    const lines = (await told(shown, "-v")).split("\n").filter((line) => line.startsWith("Deleg"));
    expect(lines).toEqual([
      "Delegate IP       : 10.77.0.100 (fence nft, lease guarantee off, address conflict, mute, unfit)",
      "Delegate IP       : 10.77.0.100",
      "Delegate IP       : 10.77.0.100",
    ]);
    expect(await told(shown)).not.toContain("fence");
  });

  it("bears the longest address with all that can be wrong", async () => {
    const shown = {
      vip: "2001:0db8:1111:2222:3333:4444:255.255.255.255",
      fence: "lifetime" as const,
      leaseGuarantee: false,
      conflict: "c".repeat(4000),
      mute: "m".repeat(4000),
      unfit: "u".repeat(4000),
    };
    const text = await told(shown, "-v");
    expect(text).toContain(
      `: ${shown.vip} (fence lifetime, lease guarantee off, address conflict, mute, unfit)\n`,
    );
    expect(text.match(/^Membership Status : MEMBER$/gm)).toHaveLength(3);
  });
});
