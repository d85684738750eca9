import { describe, expect, it } from "vitest";
import { compareReplication, parseLsn } from "../../../../../src/backend/index.ts";

describe("the replication delay", () => {
  const primary = {
    id: 0,
    isInRecovery: false,
    walLsn: "1/10",
    senders: [
      { applicationName: "server1", state: "streaming", syncState: "sync", replayLagMs: 70 },
    ],
  };
  const standby = (id: number, walLsn: string | null) => ({
    id,
    isInRecovery: true,
    walLsn,
    senders: [],
  });
  const names = new Map([
    [1, "server1"],
    [2, ""],
  ]);

  it("is the distance between what was written and what was replayed", () => {
    const facts = compareReplication([primary, standby(1, "0/FFFFFFF0")], 0, names);
    expect(facts.get(0)).toEqual({
      pgRole: "primary",
      replicationDelayBytes: 0,
      replicationDelayMs: 0,
      replicationState: "",
      replicationSyncState: "",
    });
    expect(facts.get(1)).toEqual({
      pgRole: "standby",
      replicationDelayBytes: 32,
      replicationDelayMs: 70,
      replicationState: "streaming",
      replicationSyncState: "sync",
    });
  });

  it("is none for a standby that was asked later, nor without an answer to compare with", () => {
    const ahead = compareReplication([primary, standby(1, "1/20")], 0, names);
    expect(ahead.get(1)?.replicationDelayBytes).toBe(0);
    expect(compareReplication([standby(1, "0/1")], 0, names).get(1)?.replicationDelayBytes).toBe(0);
    const unsaid = compareReplication([primary, standby(1, null)], 0, names);
    expect(unsaid.get(1)?.replicationDelayBytes).toBe(0);
  });

  it("finds no row for a standby without an application name", () => {
    const anonymous = {
      ...primary,
      senders: [{ applicationName: "", state: "streaming", syncState: "async", replayLagMs: 70 }],
    };
    const facts = compareReplication([anonymous, standby(2, "1/0")], 0, names);
    expect(facts.get(2)).toMatchObject({ replicationState: "", replicationDelayMs: 0 });
  });

  it("reads positions, and nothing else", () => {
    expect(parseLsn("16/B374D848")).toBe(0x16b374d848n);
    for (const text of ["", "1", "1/", "/1", "x/1", "1/123456789"]) {
      expect(parseLsn(text)).toBeNull();
    }
  });
});
