import { describe, expect, it } from "vitest";
import {
  chooseCandidate,
  decodeClusterState,
  firstClusterState,
  observeSynchronous,
  parseStandbyNames,
  readPositions,
  type CandidateFacts,
  type CandidateVerdict,
  type Position,
  type SynchronousSet,
} from "../../../../../src/backend/index.ts";
import { OURS, primaryAnswer, sender, serversOf, standbyAnswer } from "../roles/answers.ts";

describe("synchronous_standby_names", () => {
  it.each<[string, unknown]>([
    ["", null],
    ["  ", null],
    ["s1", { method: "first", neededCount: 1, names: ["s1"] }],
    ["S1, s2", { method: "first", neededCount: 1, names: ["s1", "s2"] }],
    ["2 (s1, s2, s3)", { method: "first", neededCount: 2, names: ["s1", "s2", "s3"] }],
    ["FIRST 1 (s1,s2)", { method: "first", neededCount: 1, names: ["s1", "s2"] }],
    ["any 2(*)", { method: "any", neededCount: 2, names: ["*"] }],
    ['"a ""b"", c", d', { method: "first", neededCount: 1, names: ['a "b", c', "d"] }],
    ["first, any", { method: "first", neededCount: 1, names: ["first", "any"] }],
    ["*", { method: "first", neededCount: 1, names: ["*"] }],
  ])("%j is read as PostgreSQL does", (text, value) => {
    expect(parseStandbyNames(text)).toEqual({ ok: true, value });
  });

  it.each(["ANY 2 (s1", "s1 s2", "s1,", ",", "FIRST 0 (s1)", "ANY 1 ()", "1 (s1))"])(
    "%j is none",
    (text) => {
      expect(parseStandbyNames(text).ok).toBe(false);
    },
  );
});

describe("what the primary says of its synchronous standbys", () => {
  const observe = (
    names: string,
    senders = [
      sender("server1", { syncState: "sync" }),
      sender("server2", { syncState: "potential" }),
    ],
    servers = serversOf(3),
  ): SynchronousSet | null =>
    observeSynchronous(primaryAnswer(0, { synchronousStandbyNames: names, senders }), servers);

  it("is nothing without a rule", () => {
    expect(observe("")).toBeNull();
  });

  it("is who is listed, and who counts now", () => {
    expect(observe("FIRST 1 (server1, Server2)")).toEqual({
      primaryId: 0,
      neededCount: 1,
      listedIds: [1, 2],
      strangersCount: 0,
      syncIds: [1],
      rule: "FIRST 1 (server1, Server2)",
    });
    const quorum = ["server1", "server2"].map((name) => sender(name, { syncState: "quorum" }));
    expect(observe("ANY 1 (server1, server2)", quorum)?.syncIds).toEqual([1, 2]);
  });

  it("counts names that are none of ours", () => {
    expect(observe("server1, archive")).toMatchObject({ listedIds: [1], strangersCount: 1 });
  });

  it("does not wait for the primary itself, which stands in a list that all servers share", () => {
    const shared = "FIRST 1 (server0, server1, server2)";
    expect(observe(shared)).toMatchObject({ listedIds: [1, 2], strangersCount: 0 });
    const namesake = [sender("server0"), sender("server1", { syncState: "sync" })];
    expect(observe(shared, namesake)).toMatchObject({ listedIds: [1, 2], strangersCount: 1 });
  });

  it("may be any of them where names do not tell, and where states are hidden", () => {
    expect(observe("*")).toMatchObject({ listedIds: [1, 2], strangersCount: 0, syncIds: [1] });
    const nameless = serversOf(3).map((server) => ({ ...server, applicationName: "" }));
    const any = { listedIds: [1, 2], strangersCount: 0, syncIds: [1, 2] };
    expect(observe("FIRST 1 (a, b)", undefined, nameless)).toMatchObject(any);
    const hidden = [sender("", { state: "", syncState: "" })];
    expect(observe("server1", hidden)).toMatchObject({ listedIds: [1], syncIds: [1] });
    expect(observe("!! (", [])).toMatchObject({ listedIds: [1, 2], neededCount: 1 });
  });

  it("is published to all nodes as it is", () => {
    const state = {
      ...firstClusterState([0, 1, 2], new Set(), 0),
      synchronous: observe("server1"),
    };
    const read = decodeClusterState(JSON.parse(JSON.stringify(state)));
    expect(read).toEqual({ ok: true, value: state });
    const wrong = { ...state, synchronous: { ...state.synchronous, neededCount: 0 } };
    expect(decodeClusterState(wrong).ok).toBe(false);
  });
});

function at(id: number, lsn: number, own: Partial<Position> = {}): Position {
  return { id, timeline: 1, lsn: BigInt(lsn), isExact: true, ...own };
}

const FIRST_OF_TWO: SynchronousSet = {
  primaryId: 0,
  neededCount: 1,
  listedIds: [1, 2],
  strangersCount: 0,
  syncIds: [1],
  rule: "FIRST 1 (server1, server2)",
};

function choose(positions: readonly Position[], own: Partial<CandidateFacts> = {}): string {
  const silentIds = [1, 2, 3].filter((id) => !positions.some((one) => one.id === id));
  const verdict: CandidateVerdict = chooseCandidate({
    set: FIRST_OF_TWO,
    oldPrimaryId: 0,
    positions,
    liveIds: [1, 2, 3],
    silentIds,
    isTimeUp: false,
    ...own,
  });
  if (verdict.type === "wait") return `wait: ${verdict.why}`;
  return `${verdict.id}${verdict.doubt === "" ? "" : `, but ${verdict.doubt}`}`;
}

describe("the candidate, where replication was synchronous", () => {
  it("is the most advanced, at once when so many have answered that one must have it all", () => {
    expect(choose([at(1, 50), at(2, 40)])).toBe("1");
    expect(choose([at(1, 40), at(2, 50)])).toBe("2");
    expect(choose([at(1, 50), at(2, 50)])).toBe("1");
    // Somebody who is not listed and has more has all that was acknowledged.
    expect(choose([at(1, 40), at(2, 40), at(3, 90)])).toBe("3");
  });

  it("is waited for while a listed one has not answered", () => {
    expect(choose([at(1, 50)])).toBe("wait: node 2 must say how far it is");
    expect(choose([at(2, 50), at(3, 90)])).toBe("wait: node 1 must say how far it is");
  });

  it("is in doubt, when the time is up, one that was published; another never", () => {
    const isTimeUp = true;
    expect(choose([at(1, 50)], { isTimeUp })).toBe("1, but node 2 did not say how far it is");
    expect(choose([at(2, 50), at(3, 90)], { isTimeUp })).toBe(
      "wait: only node 1 was known to be synchronous, and cannot take over",
    );
    expect(choose([], { isTimeUp })).toContain("wait: ");
    expect(choose([at(1, 50)], { isTimeUp, liveIds: [2, 3] })).toContain("wait: only node 1");
  });

  it("needs as many answers as the rule makes necessary", () => {
    const listedIds = [1, 2, 3];
    const two = { ...FIRST_OF_TWO, listedIds, neededCount: 2 };
    expect(choose([at(1, 40), at(3, 50)], { set: two })).toBe("3");
    expect(choose([at(3, 50)], { set: two })).toBe("wait: node 1, 2 must say how far it is");
    const all = { ...two, neededCount: 3 };
    expect(choose([at(3, 50)], { set: all })).toBe("3");
    const stranger = { ...FIRST_OF_TWO, strangersCount: 1 };
    expect(choose([at(1, 50), at(2, 50)], { set: stranger })).toBe(
      "wait: standbys that are none of ours must say how far it is",
    );
  });

  it("hears of those that are down, too, and says when they have more", () => {
    const liveIds = [1, 3];
    expect(choose([at(1, 50), at(2, 40)], { liveIds })).toBe("1");
    expect(choose([at(1, 40), at(2, 50)], { liveIds })).toContain("wait: ");
    expect(choose([at(1, 40), at(2, 50)], { liveIds, isTimeUp: true })).toBe(
      "1, but node 2, which is down, has more",
    );
  });

  it("does not believe a standby that still reads what it had before it was started", () => {
    expect(choose([at(1, 40, { isExact: false }), at(2, 50)])).toContain("wait: node 1");
  });

  it("puts a later timeline before a longer earlier one", () => {
    expect(choose([at(1, 90), at(2, 50, { timeline: 2 })])).toBe("2");
  });
});

describe("the candidate, where nothing was promised", () => {
  it("is the most advanced of all, who are waited for until the time is up", () => {
    const set = null;
    expect(choose([at(1, 40), at(2, 50), at(3, 45)], { set })).toBe("2");
    expect(choose([at(1, 40), at(2, 50)], { set })).toBe("wait: node 3 must say how far it is");
    expect(choose([at(1, 40), at(2, 50)], { set, isTimeUp: true })).toBe("2");
  });

  it("is so too when what was published is of another primary", () => {
    expect(choose([at(3, 90), at(1, 1), at(2, 1)], { oldPrimaryId: 7 })).toBe("3");
  });
});

describe("whatever the rule, whoever answers", () => {
  it("a choice without doubt has every commit that was acknowledged", () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 48271) % 2147483647;
      return seed % below;
    };
    let sureCount = 0;
    for (let round = 0; round < 3000; round += 1) {
      const listedIds = [1, 2, 3].slice(0, 1 + random(3));
      const neededCount = 1 + random(listedIds.length);
      const lsns = new Map([1, 2, 3].map((id) => [id, random(10)]));
      // Acknowledged is what stands on k of the listed.
      const sorted = listedIds.map((id) => lsns.get(id) ?? 0).toSorted((a, b) => b - a);
      const acknowledged = sorted[neededCount - 1] ?? 0;
      const heard = [1, 2, 3].filter(() => random(3) > 0);
      const liveIds = [1, 2, 3].filter(() => random(4) > 0);
      const set = { ...FIRST_OF_TWO, listedIds, neededCount, syncIds: listedIds.slice(0, 1) };
      const verdict = chooseCandidate({
        set,
        oldPrimaryId: 0,
        positions: heard.map((id) => at(id, lsns.get(id) ?? 0)),
        liveIds,
        silentIds: [],
        isTimeUp: random(2) === 0,
      });
      if (verdict.type === "wait" || verdict.doubt !== "") continue;
      sureCount += 1;
      expect(verdict.lsn).toBeGreaterThanOrEqual(acknowledged);
      expect(liveIds).toContain(verdict.id);
    }
    expect(sureCount).toBeGreaterThan(500);
  });
});

describe("how far a standby is", () => {
  const known = { systemIdentifier: OURS, timeline: 1 };
  const read = (own: object, before: readonly Position[] = []): readonly Position[] =>
    readPositions([standbyAnswer(1, null, own)], known, before);

  it("is what it has received, and certain by that", () => {
    expect(read({ walLsn: "0/10", receivedLsn: "0/20" })).toEqual([at(1, 32)]);
  });

  it("is what it has replayed after a start, and certain when it says so twice", () => {
    const restarted = { walLsn: "0/20", receivedLsn: "0/10" };
    const first = read(restarted);
    expect(first).toEqual([at(1, 32, { isExact: false })]);
    expect(read(restarted, first)).toEqual([at(1, 32)]);
    expect(read({ walLsn: "0/30", receivedLsn: null }, first)).toEqual([
      at(1, 48, { isExact: false }),
    ]);
  });

  it("is not asked of a primary, of another system, or of one that does not say", () => {
    expect(read({ isInRecovery: false })).toEqual([]);
    expect(read({ identity: { systemIdentifier: "7999", timeline: 1 } })).toEqual([]);
    expect(read({ walLsn: null, receivedLsn: null })).toEqual([]);
  });
});
