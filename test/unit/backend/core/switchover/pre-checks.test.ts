import { describe, expect, it } from "vitest";
import {
  checkSwitchover,
  type PrimaryFacts,
  type SwitchoverFacts,
  type TargetFacts,
} from "../../../../../src/backend/index.ts";

const IDENTITY = { systemIdentifier: "7000000000000000001", timeline: 3 };

const PRIMARY: PrimaryFacts = {
  isInRecovery: false,
  identity: IDENTITY,
  walLsn: "0/5000100",
  senders: [
    { applicationName: "s1", state: "streaming", syncState: "sync" },
    { applicationName: "s2", state: "streaming", syncState: "potential" },
  ],
  synchronousStandbyNames: "FIRST 1 (s1, s2)",
  usesSlots: true,
  seesActivity: true,
  openTransactions: 2,
  oldestTransactionMs: 40,
};

const TARGET: TargetFacts = {
  isInRecovery: true,
  identity: IDENTITY,
  receiver: { status: "streaming", host: "db0", port: 5432 },
  receivedLsn: "0/5000100",
  replayedLsn: "0/50000F0",
  isReplayPaused: false,
  applyDelayMs: 0,
  walSendersMax: 10,
  walSendersUsed: 0,
  slotsMax: 10,
  slotNames: ["pgquorum_0"],
  isReadyToSend: true,
};

const GOOD: SwitchoverFacts = {
  cluster: {
    isStreaming: true,
    leaderProblem: null,
    leader: "node 0 (n1) leads",
    intent: null,
    followingIds: [],
    recoveringId: null,
  },
  backends: [0, 1, 2].map((id) => ({
    id,
    hostname: `db${id}`,
    port: 5432,
    applicationName: `s${id}`,
    state: "up" as const,
    quarantined: false,
  })),
  primaryId: 0,
  targetId: 1,
  primary: { ok: true, value: PRIMARY },
  target: { ok: true, value: TARGET },
  commands: {
    hasFailoverCommand: true,
    failoverProblem: null,
    hasFollowCommand: true,
    followProblem: null,
    demote: { isSet: true, saysWhat: true, tried: { ok: true, value: null } },
  },
  drainTimeoutMs: 5000,
};

const primary = (own: Partial<PrimaryFacts>): Partial<SwitchoverFacts> => ({
  primary: { ok: true, value: { ...PRIMARY, ...own } },
});
const target = (own: Partial<TargetFacts>): Partial<SwitchoverFacts> => ({
  target: { ok: true, value: { ...TARGET, ...own } },
});
const backend1 = (own: object): Partial<SwitchoverFacts> => ({
  backends: GOOD.backends.map((one) => (one.id === 1 ? { ...one, ...own } : one)),
});
const cluster = (own: Partial<SwitchoverFacts["cluster"]>): Partial<SwitchoverFacts> => ({
  cluster: { ...GOOD.cluster, ...own },
});
const demote = (own: object): Partial<SwitchoverFacts> => ({
  commands: { ...GOOD.commands, demote: { ...GOOD.commands.demote, ...own } },
});

describe("the checks before a switchover", () => {
  it("are all well where nothing speaks against it, and say what was found", () => {
    const lines = checkSwitchover(GOOD).map(({ name, result, found, remedy }) => {
      expect(remedy).toBeNull();
      return `${result} ${name}: ${found}`;
    });
    expect(`\n${lines.join("\n")}\n`).toMatchInlineSnapshot(`
      "
      ok leader: node 0 (n1) leads
      ok nothing else runs: no failover, no recovery, and nobody has yet to follow
      ok old primary: backend 0 (db0:5432) is the primary
      ok target: backend 1 (db1:5432) is a live standby
      ok transactions: 2 open
      ok same database: system identifier 7000000000000000001, timeline 3
      ok wal receiver: the target streams from db0:5432
      ok lag: 16 bytes
      ok sync state: commits wait for it (sync)
      ok replay: runs, without delay
      ok wal senders: 10 of 10 are free on the target, 2 needed
      ok slots: 9 of 10 are free on the target, 1 needed
      ok failover_command: is set
      ok demote_command: reaches both servers
      ok follow_primary_command: is set
      "
    `);
  });

  it.each<[string, Partial<SwitchoverFacts>]>([
    ["leader", cluster({ leaderProblem: "there is no quorum" })],
    ["leader", cluster({ isStreaming: false })],
    ["nothing else runs", cluster({ intent: "detach of node 2" })],
    ["nothing else runs", cluster({ followingIds: [2] })],
    ["nothing else runs", cluster({ recoveringId: 2 })],
    ["old primary", { primaryId: null, primary: null }],
    ["old primary", { primary: { ok: false, error: "refused" } }],
    ["old primary", primary({ isInRecovery: true })],
    ["target", { targetId: null, target: null }],
    ["target", { targetId: 7, target: null }],
    ["target", { targetId: 0, target: null }],
    ["target", backend1({ state: "down" })],
    ["target", backend1({ quarantined: true })],
    ["target", { target: { ok: false, error: "refused" } }],
    ["target", target({ isInRecovery: false })],
    ["transactions", primary({ seesActivity: false })],
    ["same database", target({ identity: { ...IDENTITY, systemIdentifier: "8" } })],
    ["same database", target({ identity: null })],
    ["wal receiver", target({ receiver: null })],
    ["wal receiver", target({ receiver: { status: "waiting", host: "db0", port: 5432 } })],
    ["wal receiver", target({ receiver: { status: "streaming", host: "db2", port: 5433 } })],
    ["wal receiver", primary({ senders: PRIMARY.senders.slice(1) })],
    [
      "wal receiver",
      primary({ senders: [{ applicationName: "s1", state: "catchup", syncState: "async" }] }),
    ],
    ["lag", target({ replayedLsn: "0/3000000" })],
    ["lag", target({ replayedLsn: null })],
    ["replay", target({ isReplayPaused: true })],
    ["replay", target({ applyDelayMs: 1000 })],
    ["wal senders", target({ walSendersMax: 1 })],
    ["wal senders", target({ walSendersUsed: 9 })],
    ["wal senders", target({ isReadyToSend: false })],
    ["slots", target({ slotsMax: 1 })],
    ["failover_command", { commands: { ...GOOD.commands, hasFailoverCommand: false } }],
    ["failover_command", { commands: { ...GOOD.commands, failoverProblem: "/f: no such file" } }],
    ["demote_command", demote({ isSet: false, saysWhat: false, tried: null })],
    ["demote_command", demote({ tried: { ok: false, error: "status 1: no route" } })],
  ])("refuse by %s, with what to do: %j", (name, own) => {
    const checks = checkSwitchover({ ...GOOD, ...own });
    const refused = checks.filter(({ result }) => result === "refused");
    expect(refused.map((check) => check.name)).toContain(name);
    for (const check of refused) expect(check.remedy).toMatch(/\S/);
  });

  it.each<[string, Partial<SwitchoverFacts>]>([
    ["transactions", primary({ oldestTransactionMs: 6000 })],
    ["sync state", { targetId: 2, ...backend1({}) }],
    ["demote_command", demote({ saysWhat: false, tried: null })],
    ["follow_primary_command", { commands: { ...GOOD.commands, hasFollowCommand: false } }],
    ["follow_primary_command", { commands: { ...GOOD.commands, followProblem: "/f: no such" } }],
  ])("only warn by %s: %j", (name, own) => {
    const checks = checkSwitchover({ ...GOOD, ...own });
    expect(checks.filter(({ result }) => result === "refused")).toEqual([]);
    expect(checks.filter(({ result }) => result === "warning")).toMatchObject([{ name }]);
  });

  it("need no slots where the primary has none", () => {
    const facts = { ...GOOD, ...primary({ usesSlots: false }), ...target({ slotsMax: 0 }) };
    expect(checkSwitchover(facts).every(({ result }) => result === "ok")).toBe(true);
  });
});
