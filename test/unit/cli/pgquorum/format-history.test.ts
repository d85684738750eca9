import { expect, it } from "vitest";
import { plainEntry, type HistoryEntry } from "../../../../src/backend/index.ts";
import { formatHistory } from "../../../../src/cli/pgquorum/format-history.ts";

const AT = new Date(2026, 0, 2, 3, 4, 5, 678).getTime();

const failover: HistoryEntry = plainEntry({
  epoch: 7,
  lastEpoch: 9,
  eventId: "n0-7",
  kind: "detach",
  backendIds: [0],
  reason: "connection refused",
  outcome: "failed",
  problem: "failover_command for node 0 ended with status 1; no new primary was found",
  oldPrimaryId: 0,
  startedAt: AT,
  endedAt: AT + 9500,
  votes: [{ nodeId: 2, at: AT - 40, reason: "refused" }],
  steps: [
    { name: "granted", at: AT - 3 },
    { name: "committed", at: AT + 12 },
  ],
  commands: [
    {
      kind: "failover",
      backendId: 0,
      epoch: 7,
      text: "/etc/failover.sh 0",
      startedAt: AT + 20,
      endedAt: AT + 1320,
      exitCode: 1,
      signal: null,
      timedOut: false,
      outputTail: "connecting\nno route\u001b[2J to host",
    },
    {
      kind: "failover",
      backendId: 0,
      epoch: 8,
      text: "/etc/failover.sh 0",
      startedAt: AT + 2500,
      endedAt: AT + 7500,
      exitCode: null,
      signal: "SIGTERM",
      timedOut: true,
      outputTail: "",
    },
  ],
});

it("tells of each event who asked, when each step was taken, and what the commands did", () => {
  const on = { kind: "maintenance-on", by: "root on node 1", reason: "disks" } as const;
  const maintenance = plainEntry({ ...on, epoch: 10, eventId: "n0-10", endedAt: AT + 20_000 });
  const text = formatHistory({ entries: [failover, maintenance], running: null }, AT);
  expect(text).toMatchInlineSnapshot(`
    "2026-01-02 03:04:05.678  detach node 0: FAILED in 9.5 s  (epochs 7 to 9)
      problem   failover_command for node 0 ended with status 1; no new primary was found
      cause     connection refused
      primary   node 0 before, none after
      vote      node 2 at -40 ms: refused
      steps     -3 ms granted, +12 ms committed
      command   failover_command for node 0 at +20 ms, epoch 7: status 1 after 1.3 s
                /etc/failover.sh 0
                | connecting
                | no route?[2J to host
      command   failover_command for node 0 at +2.5 s, epoch 8: its time was over, ended by SIGTERM after 5.0 s
                /etc/failover.sh 0

    2026-01-02 03:04:25.678  maintenance on: done  (epoch 10)
      cause     disks
      asked by  root on node 1
    "
  `);
});

it("says that there is nothing, rather than nothing", () => {
  expect(formatHistory({ entries: [], running: null }, AT)).toBe("nothing has been done yet\n");
});
