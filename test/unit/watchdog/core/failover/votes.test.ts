import { describe, expect, it } from "vitest";
import {
  countVote,
  startVotes,
  type Verdict,
  type VoteRules,
} from "../../../../../src/watchdog/core/failover/index.ts";
import type { ClusterRequest } from "../../../../../src/wire/ipc/index.ts";

const RULES: VoteRules = {
  requiresConsensus: true,
  countsRepetitions: false,
  halfVotes: false,
  expiryMs: 15_000,
};
const DETACH_0: ClusterRequest = {
  kind: "detach",
  backendIds: [0],
  confirmed: false,
  switchoverTo: null,
  reason: "down",
};

type Cast = readonly [from: number, change?: Partial<ClusterRequest>, atMs?: number];

/** What differs from three members and the usual rules. */
type Setting = Partial<VoteRules> & { readonly members?: readonly number[] };

function verdictsOf({ members = [0, 1, 2], ...rules }: Setting, casts: readonly Cast[]): Verdict[] {
  let state = startVotes({ ...RULES, ...rules });
  return casts.map(([from, change, atMs]) => {
    const vote = { from, request: { ...DETACH_0, ...change }, members };
    const counted = countVote(state, vote, atMs ?? 1000);
    state = counted.state;
    return counted.verdict;
  });
}

const BUILDING = "building-consensus";

describe("failover votes", () => {
  const rows: [string, Setting, Cast[], Verdict[]][] = [
    ["one of one is enough", { members: [0] }, [[0]], ["granted"]],
    ["two of two are needed", { members: [0, 1] }, [[0], [1]], [BUILDING, "granted"]],
    ["two of three are needed", {}, [[0], [2]], [BUILDING, "granted"]],
    [
      "three of four are needed: half is no majority",
      { members: [0, 1, 2, 3] },
      [[0], [1], [2]],
      [BUILDING, BUILDING, "granted"],
    ],
    [
      "half of four is enough where half votes suffice",
      { members: [0, 1, 2, 3], halfVotes: true },
      [[0], [1]],
      [BUILDING, "granted"],
    ],
    ["half votes change nothing for three", { halfVotes: true }, [[0], [1]], [BUILDING, "granted"]],
    [
      "who is no member does not count",
      { members: [0, 1] },
      [[2], [0], [2], [1]],
      [BUILDING, BUILDING, BUILDING, "granted"],
    ],
    [
      "three of five are needed",
      { members: [0, 1, 2, 3, 4] },
      [[4], [1], [2]],
      [BUILDING, BUILDING, "granted"],
    ],
    [
      "a node that asks again counts once, and is told that the others do not agree",
      {},
      [[0], [0], [0], [1]],
      [BUILDING, "consensus-may-fail", "consensus-may-fail", "granted"],
    ],
    [
      "a node that asks again counts again when that is allowed",
      { countsRepetitions: true, members: [0, 1, 2, 3, 4] },
      [[0], [0], [0]],
      [BUILDING, BUILDING, "granted"],
    ],
    ["without consensus one word is enough", { requiresConsensus: false }, [[2]], ["granted"]],
    ["an operator's word is enough", {}, [[2, { confirmed: true }]], ["granted"]],
    [
      "votes for different things are not added",
      {},
      [[0], [1, { backendIds: [1] }], [2, { kind: "attach" }], [1]],
      [BUILDING, BUILDING, BUILDING, "granted"],
    ],
    [
      "the order of the backends does not matter, the reason neither",
      {},
      [
        [0, { backendIds: [2, 1] }],
        [1, { backendIds: [1, 2], reason: "other" }],
      ],
      [BUILDING, "granted"],
    ],
    [
      "a vote expires, counted from the first",
      {},
      [
        [0, {}, 1000],
        [1, {}, 16_000],
      ],
      [BUILDING, BUILDING],
    ],
    [
      "a vote lives until it expires",
      {},
      [
        [0, {}, 1000],
        [0, {}, 9000],
        [1, {}, 15_999],
      ],
      [BUILDING, "consensus-may-fail", "granted"],
    ],
    [
      "what was granted begins anew",
      {},
      [[0], [1], [2], [0]],
      [BUILDING, "granted", BUILDING, "granted"],
    ],
    [
      "an operator's word leaves no votes behind",
      {},
      [[0], [1, { confirmed: true }], [2]],
      [BUILDING, "granted", BUILDING],
    ],
  ];
  it.each(rows)("%s", (_what, rules, casts, verdicts) => {
    expect(verdictsOf(rules, casts)).toEqual(verdicts);
  });

  it("keep a bounded number of wishes", () => {
    let state = startVotes(RULES);
    for (let id = 0; id < 1000; id++) {
      const request = { ...DETACH_0, backendIds: [id] };
      state = countVote(state, { from: 0, request, members: [0, 1, 2] }, 1000).state;
    }
    expect(state.pending.length).toBe(256);
  });

  it("of a node that was removed meanwhile count no more", () => {
    const first = countVote(
      startVotes(RULES),
      { from: 2, request: DETACH_0, members: [0, 1, 2] },
      1000,
    );
    const vote = { from: 0, request: DETACH_0, members: [0, 1] };
    expect(countVote(first.state, vote, 1001).verdict).toBe(BUILDING);
  });
});
