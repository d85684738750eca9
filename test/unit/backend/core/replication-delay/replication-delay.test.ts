import { describe, expect, it } from "vitest";
import {
  compareReplication,
  parseLsn,
  unreplayedForMs,
  withWritten,
  type ReplicationAnswer,
  type ReplicationFacts,
  type WrittenPositions,
} from "../../../../../src/backend/index.ts";
import { OURS, primaryAnswer, sender, standbyAnswer } from "../roles/answers.ts";

const primary = primaryAnswer(0, {
  senders: [sender("server1", { syncState: "sync", replayLagMs: 70 })],
});

function compare(
  answers: readonly ReplicationAnswer[],
  written: WrittenPositions = [],
): ReadonlyMap<number, ReplicationFacts> {
  const applicationNames = new Map([
    [1, "server1"],
    [2, ""],
  ]);
  return compareReplication({ answers, primaryId: 0, applicationNames, written });
}

describe("the replication delay", () => {
  it("is the distance between what was written and what was replayed", () => {
    const standby = standbyAnswer(1, 0, { walLsn: "0/FFFFFFF0", receivedLsn: "1/0" });
    const facts = compare([primary, standby]);
    const known = { timeline: 1, systemIdentifier: OURS };
    expect(facts.get(0)).toEqual({
      ...known,
      pgRole: "primary",
      replicationDelayBytes: 0,
      replicationDelayMs: 0,
      replicationState: "",
      replicationSyncState: "",
      walLsn: "1/10",
      receivedLsn: null,
    });
    expect(facts.get(1)).toEqual({
      ...known,
      pgRole: "standby",
      replicationDelayBytes: 32,
      replicationDelayMs: 70,
      replicationState: "streaming",
      replicationSyncState: "sync",
      walLsn: "0/FFFFFFF0",
      receivedLsn: "1/0",
    });
  });

  it("is none for a standby that was asked later, nor without an answer to compare with", () => {
    const bytesOf = (answers: readonly ReplicationAnswer[]): number | undefined =>
      compare(answers).get(1)?.replicationDelayBytes;
    expect(bytesOf([primary, standbyAnswer(1, 0, { walLsn: "1/20" })])).toBe(0);
    expect(bytesOf([standbyAnswer(1, 0, { walLsn: "0/1" })])).toBe(0);
    expect(bytesOf([primary, standbyAnswer(1, 0, { walLsn: null })])).toBe(0);
  });

  it("finds no row for a standby without an application name", () => {
    const anonymous = { ...primary, senders: [sender("", { replayLagMs: 70 })] };
    const facts = compare([anonymous, standbyAnswer(2, 0)]);
    expect(facts.get(2)).toMatchObject({ replicationState: "", replicationDelayMs: 0 });
  });

  it("reads positions, and nothing else", () => {
    expect(parseLsn("16/B374D848")).toBe(0x16b374d848n);
    for (const text of ["", "1", "1/", "/1", "x/1", "1/123456789"]) {
      expect(parseLsn(text)).toBeNull();
    }
  });
});

describe("the replication delay as a time", () => {
  const written: WrittenPositions = [
    { atMs: 1000, lsn: 100n },
    { atMs: 2000, lsn: 200n },
    { atMs: 3000, lsn: 300n },
  ];
  const at = (lsn: bigint): string => `0/${lsn.toString(16).toUpperCase()}`;
  const behind = (lsn: bigint, own: Partial<ReplicationAnswer> = {}): ReplicationAnswer =>
    standbyAnswer(1, 0, { walLsn: at(lsn), askedAtMs: 9000, ...own });
  const msOf = (standby: ReplicationAnswer, senders = primary.senders): number | undefined =>
    compare([{ ...primary, walLsn: at(300n), senders }, standby], written).get(1)
      ?.replicationDelayMs;

  it("is at least the time for which a position is known that was not replayed", () => {
    expect(msOf(behind(150n))).toBe(7000);
    expect(msOf(behind(250n))).toBe(6000);
    expect(msOf(behind(300n))).toBe(70); // As the primary tells it.
  });

  it("is that of the last replayed transaction where a standby is behind all we know", () => {
    expect(msOf(behind(50n, { sinceReplayedMs: 60_000 }), [])).toBe(60_000);
    expect(msOf(behind(50n, { sinceReplayedMs: null }), [])).toBe(0);
  });

  it("does not count the time in which the primary wrote nothing", () => {
    expect(msOf(behind(300n, { sinceReplayedMs: 3_600_000 }), [])).toBe(0);
    expect(msOf(behind(290n, { sinceReplayedMs: 3_600_000 }), [])).toBe(6000);
  });

  it("remembers a bounded number of positions, far back, and none of another history", () => {
    let known: WrittenPositions = [];
    for (let step = 1; step <= 1000; step += 1) {
      known = withWritten(known, BigInt(step), step * 1000);
      expect(known.length).toBeLessThanOrEqual(64);
    }
    expect(known[0]?.lsn).toBe(1n);
    expect(unreplayedForMs(known, 999n, 1_001_000)).toBe(1000);
    expect(unreplayedForMs(known, 1000n, 1_001_000)).toBe(0);
    expect(withWritten(known, 5n, 2_000_000)).toEqual([{ atMs: 2_000_000, lsn: 5n }]);
  });
});
