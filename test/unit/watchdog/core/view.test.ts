import { describe, expect, it } from "vitest";
import {
  consensus,
  lifetimeFence,
  NO_FENCE,
  NOTHING_DURABLE,
  startState,
  timingFor,
  type Event,
  type Fence,
  type State,
} from "../../../../src/watchdog/core/consensus/index.ts";
import {
  startLifecheck,
  stepLifecheck,
  type LifecheckEvent,
} from "../../../../src/watchdog/core/lifecheck/index.ts";
import {
  glanceAt,
  looksTheSame,
  ownStateLines,
  watchdogView,
  type ViewFacts,
} from "../../../../src/watchdog/core/view.ts";
import type { WatchdogView } from "../../../../src/wire/ipc/index.ts";
import type { ConsensusMessage } from "../../../../src/wire/watchdog/index.ts";

type Told = readonly [atMs: number, event: Event];

function message(from: number, value: ConsensusMessage): Event {
  return { type: "message", from, message: value };
}

const grant = { granted: true, holder: null, isReleased: false, boundMs: 0 };
const ELECTED: readonly Told[] = [
  [700, { type: "tick" }],
  [701, message(0, { type: "pre-vote-reply", term: 0, ...grant })],
  [702, message(0, { type: "vote-reply", term: 1, ...grant })],
];
const stored = { term: 1, index: 1 };
const ACKED: readonly Told[] = [
  ...ELECTED,
  [
    703,
    message(0, {
      type: "round-reply",
      term: 1,
      round: 1,
      answer: 1,
      accepted: true,
      stored,
      knowsHolder: false,
      isVoter: true,
      appliedIndex: 0,
      isFit: true,
    }),
  ],
];
const FOLLOWS: readonly Told[] = [
  [
    100,
    message(2, {
      type: "round",
      term: 1,
      round: 1,
      entry: null,
      committedIndex: 0,
      holder: null,
      heard: 0,
    }),
  ],
];

const FACTS: ViewFacts = {
  members: [0, 1, 2].map((id) => ({
    id,
    hostname: `server${id}`,
    pgpoolPort: 9999,
    wdPort: 9000,
  })),
  names: new Map([
    [1, "server1:9999 Linux server1"],
    [2, "server2:9999 Linux server2"],
  ]),
  priorities: new Map([[2, 5]]),
  unwelcomedBy: new Set(),
  differences: [],
  vip: "10.0.0.9",
  holdsVip: false,
  fenceReason: "",
  conflict: null,
  trouble: null,
  guardianPid: 7,
};

interface Story {
  readonly lives?: readonly LifecheckEvent[];
  readonly facts?: Partial<ViewFacts>;
  readonly memberIds?: readonly number[];
  readonly halfVotes?: boolean;
  readonly fence?: Fence;
}

/** Of node 1 of three, P = 600 ms: before the events, and after each of them. */
function statesOf(events: readonly Told[], story: Story = {}): readonly [State, ...State[]] {
  const { memberIds = [0, 1, 2], halfVotes = false } = story;
  const first = startState(
    {
      selfId: 1,
      nodeIds: memberIds,
      timing: timingFor(600),
      fence: story.fence ?? lifetimeFence(1),
      halfVotes,
      mute: null,
      durable: NOTHING_DURABLE,
      ownReleaseHash: null,
      seed: 1,
    },
    0,
  );
  const states: [State, ...State[]] = [first];
  for (const [atMs, event] of events) {
    states.push(consensus.step(states.at(-1) ?? first, event, atMs).state);
  }
  return states;
}

function viewAt(nowMs: number, events: readonly Told[] = [], story: Story = {}): WatchdogView {
  const states = statesOf(events, story);
  return viewOf(states.at(-1) ?? states[0], nowMs, story);
}

function viewOf(state: State, nowMs: number, { lives = [], facts = {} }: Story): WatchdogView {
  let lifecheck = startLifecheck([0, 2], { method: "heartbeat", deadMs: 1000, lifePoints: 3 });
  for (const event of lives) lifecheck = stepLifecheck(lifecheck, event, 10);
  return watchdogView(state, lifecheck, { ...FACTS, ...facts }, nowMs);
}

const connected = (id: number): LifecheckEvent => ({
  type: "connected",
  id,
  bootId: "ab".repeat(16),
});

const lost = (id: number): LifecheckEvent[] => [connected(id), { type: "disconnected", id }];
const left = (id: number): LifecheckEvent[] => [connected(id), { type: "left", id }];
const VOTED: readonly Told[] = [
  [
    600,
    message(2, {
      type: "vote-request",
      term: 1,
      last: { term: 0, index: 0 },
      proof: null,
      asksPromise: false,
    }),
  ],
];

describe("the own node in the view", () => {
  const rows: [string, number, readonly Told[], string, boolean, number][] = [
    ["silent after its start", 599, [], "LOADING", false, -2],
    ["waiting for a leader", 600, [], "JOINING", false, -2],
    ["a candidate", 701, ELECTED.slice(0, 1), "STANDING FOR LEADER", false, -2],
    ["waiting for another's election", 601, VOTED, "PARTICIPATING IN ELECTION", false, -2],
    ["elected, not yet confirmed", 702, ELECTED, "LEADER", false, -1],
    ["a leader with a lease", 703, ACKED, "LEADER", true, 1],
    ["a leader whose lease is over", 1301, ACKED, "JOINING", false, -2],
    ["a follower", 101, FOLLOWS, "STANDBY", true, 1],
    ["a follower whose promise is over", 701, FOLLOWS, "JOINING", false, -2],
    ["stopped", 704, [...ACKED, [704, { type: "stop-requested" }]], "SHUTDOWN", false, -2],
  ];
  it.each(rows)("is %s", (_what, nowMs, events, state, hasQuorum, quorumStatus) => {
    const view = viewAt(nowMs, events);
    expect([view.nodes[0]?.state, view.hasQuorum, view.quorumStatus]).toEqual([
      state,
      hasQuorum,
      quorumStatus,
    ]);
  });

  it("is initializing while it is silent but hears others", () => {
    expect(viewAt(599, [], { lives: [connected(0)] }).nodes[0]?.state).toBe("INITIALIZING");
  });

  it("is isolated when it has lost all that it heard, but not when they took their leave", () => {
    const isolated = viewAt(701, FOLLOWS, { lives: [...lost(0), ...lost(2)] });
    expect(isolated.nodes[0]?.state).toBe("NETWORK ISOLATION");
    const left2 = viewAt(701, FOLLOWS, { lives: [...left(0), ...left(2)] });
    expect(left2.nodes[0]?.state).toBe("JOINING");
  });

  it("says when it is cut off, but not while it leads", () => {
    const trouble = { state: "IN NETWORK TROUBLE", reason: "e0 has no link" } as const;
    const view = viewAt(101, FOLLOWS, { facts: { trouble } });
    expect([view.nodes[0]?.state, view.unfit]).toEqual(["IN NETWORK TROUBLE", "e0 has no link"]);
    const leading = viewAt(703, ACKED, { facts: { trouble: { ...trouble, state: "LOST" } } });
    expect([leading.nodes[0]?.state, leading.unfit]).toEqual(["LEADER", "e0 has no link"]);
  });
});

describe("who leads", () => {
  it("is said until the lease ends, even by a leader that has not noticed", () => {
    const [end] = [viewAt(703, ACKED).knownUntilMs ?? 0];
    expect(end).toBeCloseTo(702 + 598.8, 1);
    expect(viewAt(end - 0.1, ACKED)).toMatchObject({ leaderId: 1, isLeader: true });
    expect(viewAt(end, ACKED)).toMatchObject({ leaderId: null, isLeader: false });
    expect(viewAt(end, ACKED).nodes.map((node) => node.state)).not.toContain("LEADER");
  });

  it("is said by a follower until its promise ends", () => {
    const lives = [connected(2)];
    expect(viewAt(699, FOLLOWS, { lives })).toMatchObject({ leaderId: 2, knownUntilMs: 700 });
    const after = viewAt(700, FOLLOWS, { lives });
    expect(after).toMatchObject({ leaderId: null, knownUntilMs: null, hasQuorum: false });
    expect(after.nodes.map((node) => node.state)).toEqual(["JOINING", "DEAD", "JOINING"]);
  });
});

describe("the other nodes in the view", () => {
  it("come after the own one, by id, with what is known of them", () => {
    const view = viewAt(101, FOLLOWS, { lives: [connected(2)] });
    expect(view.nodes.map(({ id, name, state, priority }) => [id, name, state, priority])).toEqual([
      [1, "server1:9999 Linux server1", "STANDBY", 1],
      [0, "server0:9999 Unknown", "DEAD", 1],
      [2, "server2:9999 Linux server2", "LEADER", 5],
    ]);
    expect(view).toMatchObject({ leaderId: 2, aliveRemoteCount: 1, neededForQuorum: 2, term: 1 });
  });

  it("are lost or shut down as lifecheck says, with its reason, also the one that led", () => {
    const view = viewAt(101, FOLLOWS, { lives: [...lost(2), ...left(0)] });
    expect(view.nodes.map(({ state, lostReason }) => [state, lostReason])).toEqual([
      ["STANDBY", ""],
      ["SHUTDOWN", "SHUTDOWN"],
      ["LOST", "NOT REACHABLE"],
    ]);
    expect(view.aliveRemoteCount).toBe(0);
  });

  it("are asked to add this node while they have not accepted it", () => {
    const view = viewAt(101, FOLLOWS, { facts: { unwelcomedBy: new Set([0]) } });
    expect(view.nodes[1]?.state).toBe("ADD MESSAGE SENT");
  });

  it("do not count when they were removed, and it is said why", () => {
    const gone = viewAt(101, FOLLOWS, { memberIds: [1, 2], lives: [...left(0), connected(2)] });
    expect(gone.nodes.map((node) => node.membership)).toEqual([
      "MEMBER",
      "REVOKED-SHUTDOWN",
      "MEMBER",
    ]);
    expect(gone).toMatchObject({ members: [1, 2], memberCount: 2, neededForQuorum: 2 });
  });
});

describe("what the lease promises", () => {
  it("is one holder, except with half votes or without a fence", () => {
    expect(viewAt(703, ACKED)).toMatchObject({ leaseGuarantee: true, fence: "lifetime" });
    const unfenced = viewAt(703, ACKED, { fence: NO_FENCE });
    expect(unfenced).toMatchObject({ leaseGuarantee: false, fence: "none" });
    const withoutVip = viewAt(703, ACKED, { fence: NO_FENCE, facts: { vip: null } });
    expect(withoutVip.leaseGuarantee).toBe(true);
    expect(viewAt(703, ACKED, { halfVotes: true }).leaseGuarantee).toBe(false);
  });

  it("is on the edge with half of the votes, where half suffices", () => {
    const two = { memberIds: [1, 2], halfVotes: true };
    const edge = viewAt(101, FOLLOWS, { ...two, lives: lost(2) });
    expect(edge).toMatchObject({ quorumStatus: 0, neededForQuorum: 1, leaseGuarantee: false });
    const whole = viewAt(101, FOLLOWS, { ...two, lives: [connected(2)] });
    expect(whole.quorumStatus).toBe(1);
    const strict = viewAt(101, FOLLOWS, { memberIds: [1, 2], lives: lost(2) });
    expect(strict).toMatchObject({ quorumStatus: 1, neededForQuorum: 2 });
  });
});

describe("the log lines of the own state", () => {
  it("are those of Pgpool-II, once a change", () => {
    const joining = viewAt(600);
    const leading = viewAt(703, ACKED);
    const following = viewAt(101, FOLLOWS, { lives: [connected(2)] });
    expect(ownStateLines(null, joining).map((line) => line.message)).toEqual([
      "watchdog node state changed from [] to [JOINING]",
    ]);
    expect(ownStateLines(joining, leading)).toEqual([
      { message: "watchdog node state changed from [JOINING] to [LEADER]", detail: null },
      { message: "I am announcing my self as leader/coordinator watchdog node", detail: null },
      { message: "I am the cluster leader node", detail: expect.stringContaining("in term 1") },
    ]);
    expect(ownStateLines(joining, following)[1]).toEqual({
      message: "successfully joined the watchdog cluster as standby node",
      detail: expect.stringContaining('"server2:9999 Linux server2"'),
    });
    expect(ownStateLines(leading, { ...leading, hasQuorum: false })).toEqual([]);
  });
});

describe("a glance at the state", () => {
  const VALUE: Event = { type: "proposed", id: 1, afterIndex: 1, value: { backends: ["up"] } };
  const STORIES: readonly (readonly Told[])[] = [
    [[50, { type: "disk-failed", reason: "disk full" }]],
    [...FOLLOWS, [150, { type: "stop-requested" }]],
    [...VOTED, [900, { type: "fence-known", fence: NO_FENCE }]],
    [...ACKED, [710, VALUE], [720, { type: "members-wanted", memberIds: [0, 1] }]],
  ];
  const lives = [connected(0), connected(2)];

  const seenOf = (state: State, nowMs: number): WatchdogView => {
    return { ...viewOf(state, nowMs, { lives }), knownUntilMs: null };
  };

  it("changes whenever the view does, but for how long that is known to hold", () => {
    let sameCount = 0;
    for (const story of STORIES) {
      const times = [0, ...story.map(([atMs]) => atMs)];
      const moments = statesOf(story).flatMap((state, at) =>
        [0, 1, 50, 400, 700, 1500].map((laterMs) => ({ state, nowMs: (times[at] ?? 0) + laterMs })),
      );
      for (const [at, one] of moments.entries()) {
        for (const other of moments.slice(at + 1)) {
          const glances = [one, other].map(({ state, nowMs }) => glanceAt(state, nowMs));
          const [before, after] = glances;
          if (before === undefined || after === undefined) throw new Error("two glances");
          if (!looksTheSame(before, after)) continue;
          sameCount += 1;
          expect(seenOf(other.state, other.nowMs)).toEqual(seenOf(one.state, one.nowMs));
        }
      }
    }
    expect(sameCount).toBeGreaterThan(20);
  });

  it("stays as it is while a leader goes on with its rounds", () => {
    const states = statesOf([...ACKED, [803, { type: "tick" }]]);
    const [before, after] = states.slice(-2);
    if (before === undefined || after === undefined) throw new Error("two states");
    expect(after).not.toBe(before);
    expect(looksTheSame(glanceAt(before, 703), glanceAt(after, 803))).toBe(true);
  });
});
