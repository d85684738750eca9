import { describe, expect, it } from "vitest";
import {
  findProblems,
  findUpstreams,
  firstClusterState,
  followersOf,
  judgePrimaries,
  NOTHING_SUSPECTED,
  planFailbacks,
  renewedIdentity,
  withBackends,
  type ClusterState,
  type PrimaryVerdict,
  type PrimaryWatch,
  type ReplicationAnswer,
} from "../../../../../src/backend/index.ts";
import { OURS, primaryAnswer, sender, serversOf, standbyAnswer } from "./answers.ts";

const servers = serversOf(4);
const cluster: ClusterState = {
  ...firstClusterState([0, 1, 2, 3], new Set(), 0),
  primaryId: 0,
  identity: { systemIdentifier: OURS, timeline: 1 },
};
const promoted = { identity: { systemIdentifier: OURS, timeline: 2 } };
const foreign = { identity: { systemIdentifier: "7999", timeline: 1 } };

function down(state: ClusterState, ids: readonly number[]): ClusterState {
  return withBackends(state, ids, { state: "down", reason: "test", changedAt: 0 });
}

function problemTexts(
  answers: readonly ReplicationAnswer[],
  state: ClusterState = cluster,
): Record<number, string> {
  const problems = findProblems(state, answers, new Map());
  return Object.fromEntries([...problems].map(([id, { text }]) => [id, text]));
}

describe("who follows whom", () => {
  it("is what the standby's receiver says, through other standbys too", () => {
    const answers = [
      primaryAnswer(0),
      standbyAnswer(1, 0),
      standbyAnswer(2, 1),
      standbyAnswer(3, null),
    ];
    const upstreams = findUpstreams(answers, servers);
    expect([...upstreams]).toEqual([
      [1, 0],
      [2, 1],
    ]);
    expect([...followersOf(0, upstreams)]).toEqual([1, 2]);
  });

  it("is what the sender says where the receiver names a host that is none of ours", () => {
    const receiver = { status: "streaming", host: "10.0.0.1", port: 5432 };
    const answers = [
      primaryAnswer(0, { senders: [sender("server1"), sender("server3", { state: "backup" })] }),
      standbyAnswer(1, 0, { receiver }),
      standbyAnswer(3, null),
    ];
    expect([...findUpstreams(answers, servers)]).toEqual([[1, 0]]);
  });

  it("takes a standby's local address for its own host", () => {
    const local = [5432, 5433].map((port, id) => ({
      id,
      hostname: "127.0.0.1",
      port,
      applicationName: "",
    }));
    const receiver = { status: "streaming", host: "/var/run/postgresql", port: 5432 };
    const answers = [primaryAnswer(0), standbyAnswer(1, 0, { receiver })];
    expect([...findUpstreams(answers, local)]).toEqual([[1, 0]]);
  });
});

describe("a server that must not be routed to", () => {
  it("is a second primary, another database cluster, and a standby of another primary", () => {
    const answers = [
      primaryAnswer(0),
      primaryAnswer(1, promoted),
      standbyAnswer(2, 1, promoted),
      standbyAnswer(3, null, foreign),
    ];
    expect(problemTexts(answers)).toEqual({
      1: "is a primary of its own beside node 0 (timeline 2, not 1)",
      2: "follows another primary than node 0 (timeline 2, not 1)",
      3: `is of another database cluster (system identifier 7999, not ${OURS})`,
    });
  });

  it("is the primary of before, when its successor stands", () => {
    const after = { ...cluster, primaryId: 1, ...promoted };
    expect(problemTexts([primaryAnswer(0), primaryAnswer(1, promoted)], after)).toEqual({
      0: "is a primary of its own beside node 1 (timeline 1, not 2)",
    });
  });

  it("is no standby that has not yet gone over to a new primary, nor one of unknown identity", () => {
    const after = { ...cluster, primaryId: 1, ...promoted };
    const answers = [
      primaryAnswer(1, promoted),
      standbyAnswer(2, null),
      standbyAnswer(3, 1, { identity: null }),
    ];
    expect(problemTexts(answers, after)).toEqual({});
    // The primary was promoted once more since it was found.
    expect(problemTexts([primaryAnswer(0, promoted), standbyAnswer(1, 0, promoted)])).toEqual({});
  });

  it("stays what it is until it says otherwise, or is the primary itself", () => {
    const before = findProblems(cluster, [primaryAnswer(0), primaryAnswer(1, promoted)], new Map());
    expect([...findProblems(cluster, [primaryAnswer(0)], before)]).toEqual([...before]);
    expect(findProblems(cluster, [standbyAnswer(1, 0)], before).size).toBe(0);
    expect(findProblems({ ...cluster, primaryId: 1 }, [], before).size).toBe(0);
  });

  it("is told of a primary that was made anew, or whose data are lost", () => {
    const answers = [primaryAnswer(0, foreign), standbyAnswer(1, null)];
    expect(problemTexts(answers)).toEqual({
      0: `is the primary, but was made anew (system identifier 7999, not ${OURS})`,
    });
  });

  it("is not judged anew while nobody is known to be the primary", () => {
    const before = findProblems(cluster, [primaryAnswer(0), primaryAnswer(1, promoted)], new Map());
    const during = { ...cluster, primaryId: null };
    expect(findProblems(during, [primaryAnswer(2, promoted)], before)).toBe(before);
  });
});

describe("a cluster that was made anew", () => {
  const all = [primaryAnswer(0, foreign), standbyAnswer(1, 0, foreign)];

  it("is known by all servers of the configuration, with or without a known primary", () => {
    expect(renewedIdentity(cluster, all, [0, 1])).toEqual(foreign.identity);
    expect(renewedIdentity({ ...cluster, primaryId: null }, all, [0, 1])).toEqual(foreign.identity);
  });

  it.each<[string, readonly ReplicationAnswer[], Partial<ClusterState>]>([
    ["a server does not answer", all.slice(0, 1), {}],
    ["a standby has what was there before", [primaryAnswer(0, foreign), standbyAnswer(1, 0)], {}],
    [
      "a server may not tell",
      [primaryAnswer(0, foreign), standbyAnswer(1, 0, { identity: null })],
      {},
    ],
    ["two call themselves the primary", [primaryAnswer(0, foreign), primaryAnswer(1, foreign)], {}],
    ["another is the primary", all, { primaryId: 1 }],
    ["it is what stands recorded", [primaryAnswer(0), standbyAnswer(1, 0)], {}],
    ["nothing stands recorded", all, { identity: null }],
  ])("is not taken for it when %s", (_why, answers, change) => {
    expect(renewedIdentity({ ...cluster, ...change }, answers, [0, 1])).toBeNull();
  });
});

function judge(
  answers: readonly ReplicationAnswer[],
  {
    state = cluster,
    watch = NOTHING_SUSPECTED,
  }: { state?: ClusterState; watch?: PrimaryWatch } = {},
): PrimaryVerdict {
  const problems = findProblems(state, answers, new Map());
  return judgePrimaries(watch, { cluster: state, answers, problems, servers });
}

/** What two looks at the same find. */
function falseIds(
  answers: readonly ReplicationAnswer[],
  state: ClusterState = cluster,
  watch: PrimaryWatch = NOTHING_SUSPECTED,
): readonly number[] {
  const first = judge(answers, { state, watch });
  expect(first.falseOnes).toEqual([]);
  const second = judge(answers, { state, watch: first.watch });
  return second.falseOnes.map(({ id }) => id);
}

describe("a false primary", () => {
  const second = primaryAnswer(1, promoted);

  it("is a second one that nobody follows, when two looks agree", () => {
    const answers = [primaryAnswer(0), second, standbyAnswer(2, 0)];
    const first = judge(answers);
    expect(first).toMatchObject({ falseOnes: [], isLookDue: true, undecided: [] });
    const again = judge(answers, { watch: first.watch });
    expect(again).toMatchObject({
      isLookDue: false,
      falseOnes: [
        {
          id: 1,
          reason:
            "detach_false_primary: it is a primary of its own beside node 0 (timeline 2, not 1)",
        },
      ],
    });
    // It was only on its way.
    const over = judge([primaryAnswer(0), standbyAnswer(1, 0)], { watch: first.watch });
    expect(judge(answers, { watch: over.watch }).falseOnes).toEqual([]);
  });

  it("is found with no standby at all, and where standbys receive nothing", () => {
    expect(falseIds([primaryAnswer(0), second])).toEqual([1]);
    expect(falseIds([primaryAnswer(0), second, standbyAnswer(2, null)])).toEqual([1]);
  });

  it("is found though its own cascading standby follows it still", () => {
    const before = judge([primaryAnswer(0), standbyAnswer(1, 0), standbyAnswer(2, 1)]);
    const answers = [primaryAnswer(0), second, standbyAnswer(2, 1, promoted)];
    expect(falseIds(answers, cluster, before.watch)).toEqual([1]);
  });

  it("is found when standbys follow both", () => {
    const answers = [primaryAnswer(0), second, standbyAnswer(2, 0), standbyAnswer(3, 1, promoted)];
    expect(falseIds(answers)).toEqual([1]);
  });

  it("is one of another database cluster, whoever follows it", () => {
    const answers = [primaryAnswer(0), primaryAnswer(1, foreign), standbyAnswer(2, 1, foreign)];
    expect(falseIds(answers)).toEqual([1]);
  });

  it("is not decided upon where the standbys went over to it", () => {
    const before = judge([primaryAnswer(0), standbyAnswer(1, 0), standbyAnswer(2, 0)]);
    const answers = [primaryAnswer(0), second, standbyAnswer(2, 1, promoted)];
    expect(falseIds(answers, cluster, before.watch)).toEqual([]);
    expect(judge(answers, { watch: before.watch }).undecided).toEqual([
      { id: 1, reason: "node 2 follows it, and no standby follows node 0" },
    ]);
  });

  it("is not decided upon where it cannot be seen whom standbys follow", () => {
    const receiver = { status: "", host: "", port: null };
    const answers = [primaryAnswer(0), second, standbyAnswer(2, 0, { receiver })];
    expect(falseIds(answers)).toEqual([]);
    expect(judge(answers).undecided[0]?.reason).toContain("grant it pg_monitor");
  });

  it.each<[string, readonly ReplicationAnswer[], ClusterState]>([
    ["the primary does not answer", [second, standbyAnswer(2, 0)], cluster],
    ["the primary is a standby by now", [standbyAnswer(0, 1), second], cluster],
    ["the primary is of another system", [primaryAnswer(0, foreign), second], cluster],
    ["no primary is known", [primaryAnswer(0), second], { ...cluster, primaryId: null }],
    ["it is down already", [primaryAnswer(0), second], down(cluster, [1])],
    [
      "followers are on their way",
      [primaryAnswer(0), second],
      {
        ...cluster,
        follow: {
          epoch: 1,
          eventId: "e",
          oldPrimaryId: 1,
          oldMainId: 0,
          remainingIds: [1],
          isSwitchover: false,
        },
      },
    ],
  ])("is not decided upon when %s", (_, answers, state) => {
    expect(falseIds(answers, state)).toEqual([]);
  });

  it("is never the server that stands as the primary, nor one that is configured as such", () => {
    const answers = [primaryAnswer(0), second, standbyAnswer(2, 1, promoted)];
    const fixed = servers.map((server) => ({ ...server, alwaysPrimary: server.id === 1 }));
    const problems = findProblems(cluster, answers, new Map());
    const look = { cluster, answers, problems, servers: fixed };
    const first = judgePrimaries(NOTHING_SUSPECTED, look);
    expect(judgePrimaries(first.watch, look).falseOnes).toEqual([]);
  });
});

describe("100 rounds of looks at lagging and cascading receivers", () => {
  it("detach nobody but the second primary, whatever the receivers say", () => {
    let seed = 1;
    const random = (below: number): number => {
      seed = (seed * 48271) % 2147483647;
      return seed % below;
    };
    for (let round = 0; round < 100; round += 1) {
      const hasSecond = round % 2 === 1;
      let watch = NOTHING_SUSPECTED;
      const found = new Set<number>();
      for (let step = 0; step < 6; step += 1) {
        const isSecond = hasSecond && step >= 3;
        const standbys = [1, 2, 3].map((id) => {
          if (id === 1 && isSecond) return primaryAnswer(1, promoted);
          const source = [null, 0, id - 1][random(3)] ?? null;
          const status = ["streaming", "waiting", "stopping", ""][random(4)] ?? "";
          const receiver = source === null ? null : { status, host: `db${source}`, port: 5432 };
          return standbyAnswer(id, source, { receiver });
        });
        const isSilent = random(4) === 0;
        const answers = [...(isSilent ? [] : [primaryAnswer(0)]), ...standbys];
        const verdict = judge(answers, { watch });
        for (const { id } of verdict.falseOnes) found.add(id);
        ({ watch } = verdict);
      }
      for (const id of found) expect([id, hasSecond]).toEqual([1, true]);
    }
  });
});

describe("auto_failback", () => {
  const state = down(cluster, [2]);
  const answers = [
    primaryAnswer(0, { senders: [sender("server1"), sender("server2")] }),
    standbyAnswer(1, 0),
    standbyAnswer(2, 0),
  ];
  const look = { cluster: state, answers, problems: new Map(), servers, intervalMs: 60_000 };
  const plan = (own: Partial<Parameters<typeof planFailbacks>[0]> = {}): readonly number[] =>
    planFailbacks({ ...look, wallMs: 1_000_000, ...own });

  it("attaches a standby that is down, lets us log in and is streamed to", () => {
    expect(plan()).toEqual([2]);
  });

  it.each<[string, Partial<Parameters<typeof planFailbacks>[0]>]>([
    ["is live", { cluster }],
    ["does not answer", { answers: answers.slice(0, 2) }],
    ["is streamed to no more", { answers: [primaryAnswer(0), ...answers.slice(1)] }],
    [
      "still catches up",
      {
        answers: [
          primaryAnswer(0, { senders: [sender("server2", { state: "catchup" })] }),
          ...answers.slice(1),
        ],
      },
    ],
    ["is a primary", { answers: [...answers.slice(0, 2), primaryAnswer(2, promoted)] }],
    ["must not be routed to", { problems: new Map([[2, { kind: "other-branch", text: "" }]]) }],
    ["has no primary", { cluster: { ...state, primaryId: null } }],
    [
      "has its follow_primary_command before it",
      {
        cluster: {
          ...state,
          follow: {
            epoch: 1,
            eventId: "e",
            oldPrimaryId: 1,
            oldMainId: 0,
            remainingIds: [2],
            isSwitchover: false,
          },
        },
      },
    ],
  ])("leaves a server alone that %s", (_, own) => {
    expect(plan(own)).toEqual([]);
  });

  it("believes the standby's receiver where it has no application name", () => {
    const nameless = servers.map((server) => ({ ...server, applicationName: "" }));
    const silent = [primaryAnswer(0), ...answers.slice(1)];
    expect(plan({ servers: nameless, answers: silent })).toEqual([2]);
  });
});
