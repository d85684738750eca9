import { describe, expect, it } from "vitest";
import {
  consensus,
  NOTHING_DURABLE,
  startState,
  timingFor,
  type Event,
  type State,
} from "../../../../src/watchdog/core/consensus/index.ts";
import {
  startLifecheck,
  stepLifecheck,
  type LifecheckEvent,
} from "../../../../src/watchdog/core/lifecheck/index.ts";
import { ownStateLines, watchdogView } from "../../../../src/watchdog/core/view.ts";
import type { WatchdogView } from "../../../../src/wire/ipc/index.ts";
import type { ConsensusMessage } from "../../../../src/wire/watchdog/index.ts";

type Told = readonly [atMs: number, event: Event];

function message(from: number, value: ConsensusMessage): Event {
  return { type: "message", from, message: value };
}

const grant = { granted: true, holder: null, isReleased: false };
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
      accepted: true,
      stored,
      knowsHolder: false,
    }),
  ],
];
const FOLLOWS: readonly Told[] = [
  [
    100,
    message(2, { type: "round", term: 1, round: 1, entry: null, committedIndex: 0, holder: null }),
  ],
];

/** The view of node 1 of three, P = 600 ms. */
function viewAt(
  nowMs: number,
  events: readonly Told[] = [],
  lives: readonly LifecheckEvent[] = [],
): WatchdogView {
  let state: State = startState(
    {
      selfId: 1,
      memberIds: [0, 1, 2],
      rank: 1,
      timing: timingFor(600, 1000),
      durable: NOTHING_DURABLE,
      ownReleaseHash: null,
      seed: 1,
    },
    0,
  );
  for (const [atMs, event] of events) state = consensus.step(state, event, atMs).state;
  let lifecheck = startLifecheck([0, 2], 1000);
  for (const event of lives) lifecheck = stepLifecheck(lifecheck, event, 10);
  const members = [0, 1, 2].map((id) => ({
    id,
    hostname: `server${id}`,
    pgpoolPort: 9999,
    wdPort: 9000,
  }));
  const facts = {
    members,
    names: new Map([
      [1, "server1:9999 Linux server1"],
      [2, "server2:9999 Linux server2"],
    ]),
    priorities: new Map([[2, 5]]),
    vip: "10.0.0.9",
    holdsVip: false,
    fence: "lifetime" as const,
    guardianPid: 7,
  };
  return watchdogView(state, lifecheck, facts, nowMs);
}

const connected = (id: number): LifecheckEvent => ({
  type: "connected",
  id,
  bootId: "ab".repeat(16),
});

describe("the own node in the view", () => {
  const rows: [string, number, readonly Told[], string, boolean][] = [
    ["silent after its start", 599, [], "INITIALIZING", false],
    ["waiting for a leader", 600, [], "JOINING", false],
    ["a candidate", 701, ELECTED.slice(0, 1), "STANDING FOR LEADER", false],
    ["elected, not yet confirmed", 702, ELECTED, "LEADER", false],
    ["a leader with a lease", 703, ACKED, "LEADER", true],
    ["a leader whose lease is over", 1301, ACKED, "LEADER", false],
    ["a follower", 101, FOLLOWS, "STANDBY", true],
    ["a follower whose leader is silent", 701, FOLLOWS, "STANDBY", false],
    ["stopped", 704, [...ACKED, [704, { type: "stop-requested" }]], "SHUTDOWN", false],
  ];
  it.each(rows)("is %s", (_what, nowMs, events, state, hasQuorum) => {
    const view = viewAt(nowMs, events);
    expect([view.nodes[0]?.state, view.hasQuorum]).toEqual([state, hasQuorum]);
  });
});

describe("the other nodes in the view", () => {
  it("come after the own one, by id, with what is known of them", () => {
    const view = viewAt(101, FOLLOWS, [connected(2)]);
    expect(view.nodes.map(({ id, name, state, priority }) => [id, name, state, priority])).toEqual([
      [1, "server1:9999 Linux server1", "STANDBY", 1],
      [0, "server0:9999 Unknown", "DEAD", 1],
      [2, "server2:9999 Linux server2", "LEADER", 5],
    ]);
    expect(view).toMatchObject({ leaderId: 2, aliveRemoteCount: 1, neededForQuorum: 2, term: 1 });
  });

  it("are lost or shut down as lifecheck says, also the one that led", () => {
    const lost = [connected(2), { type: "disconnected", id: 2 } as const];
    const left = [connected(0), { type: "left", id: 0 } as const];
    const view = viewAt(101, FOLLOWS, [...lost, ...left]);
    expect(view.nodes.map((node) => node.state)).toEqual(["STANDBY", "SHUTDOWN", "LOST"]);
    expect(view.aliveRemoteCount).toBe(0);
  });
});

describe("the log lines of the own state", () => {
  it("are those of Pgpool-II, once a change", () => {
    const joining = viewAt(600);
    const leading = viewAt(703, ACKED);
    const following = viewAt(101, FOLLOWS, [connected(2)]);
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
