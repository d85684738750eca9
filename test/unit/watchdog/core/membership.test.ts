import { describe, expect, it } from "vitest";
import {
  followLives,
  membershipOf,
  membersWanted,
  type NodeLife,
  type RemovalPolicy,
} from "../../../../src/watchdog/core/membership.ts";
import type { PeerLife } from "../../../../src/watchdog/core/lifecheck/index.ts";

const KEEP: RemovalPolicy = { removesShutDown: false, lostMs: null, noShowMs: null };
const ALL: RemovalPolicy = { removesShutDown: true, lostMs: 1000, noShowMs: 5000 };

/** `1 alive, 2 lost@300`: without a time, since 0. */
function lives(text: string): readonly NodeLife[] {
  return text.split(", ").map((each) => {
    const [id, life, since] = each.split(/[ @]/);
    return { id: Number(id), life: life as PeerLife, sinceMs: Number(since ?? 0) };
  });
}

describe("the members that the leader, node 0, wants next", () => {
  const rows: [string, RemovalPolicy, number[], string, number, number[]][] = [
    ["all stay where nothing is set", KEEP, [0, 1, 2], "1 shut-down, 2 lost", 1e9, [0, 1, 2]],
    ["one that was shut down goes at once", ALL, [0, 1, 2], "1 alive, 2 shut-down@7", 7, [0, 1]],
    ["a lost one stays until its time", ALL, [0, 1, 2], "1 alive, 2 lost@100", 1099, [0, 1, 2]],
    ["a lost one goes at its time", ALL, [0, 1, 2], "1 alive, 2 lost@100", 1100, [0, 1]],
    [
      "one that never came stays until then",
      ALL,
      [0, 1, 2],
      "1 alive, 2 never-seen",
      4999,
      [0, 1, 2],
    ],
    ["one that never came goes", ALL, [0, 1, 2], "1 alive, 2 never-seen", 5000, [0, 1]],
    ["one that lives stays for ever", ALL, [0, 1, 2], "1 alive, 2 alive", 1e9, [0, 1, 2]],
    [
      "one at a time, the longest due first",
      ALL,
      [0, 1, 2, 3, 4],
      "1 alive, 2 alive, 3 lost@50, 4 lost@40",
      2000,
      [0, 1, 2, 3],
    ],
    [
      "of two due at once the lower id first",
      ALL,
      [0, 1, 2, 3, 4],
      "1 alive, 2 alive, 3 lost, 4 lost",
      2000,
      [0, 1, 2, 4],
    ],
    ["one that is seen again comes back", ALL, [0, 1], "1 alive, 2 alive", 0, [0, 1, 2]],
    [
      "coming back goes before removal",
      ALL,
      [0, 2, 3],
      "1 alive, 2 alive, 3 lost",
      2000,
      [0, 1, 2, 3],
    ],
    ["back even where nothing is removed any more", KEEP, [0, 1], "1 alive, 2 alive", 0, [0, 1, 2]],
    ["without a majority nobody goes", ALL, [0, 1, 2], "1 lost, 2 lost", 2000, [0, 1, 2]],
    ["half is no majority", ALL, [0, 1], "1 shut-down, 2 lost", 2000, [0, 1]],
    [
      "those that do not count are not missed",
      ALL,
      [0, 1, 3],
      "1 alive, 2 lost, 3 lost",
      2000,
      [0, 1],
    ],
  ];
  it.each(rows)("%s", (_what, policy, members, others, nowMs, wanted) => {
    expect(membersWanted(policy, members, lives(others), nowMs)).toEqual(wanted);
  });

  it("are the very list when nothing is to change, so that a change is easily seen", () => {
    const members = [0, 1, 2];
    expect(membersWanted(ALL, members, lives("1 alive, 2 alive"), 0)).toBe(members);
  });
});

it("a node's time begins anew when its life changes, and only then", () => {
  const first = followLives([], [{ id: 1, life: "never-seen" }], 5);
  const same = followLives(first, [{ id: 1, life: "never-seen" }], 9);
  const lost = followLives(same, [{ id: 1, life: "lost" }], 12);
  expect([first, same, lost]).toEqual([
    lives("1 never-seen@5"),
    lives("1 never-seen@5"),
    lives("1 lost@12"),
  ]);
});

it.each([
  [true, "lost", "MEMBER"],
  [false, "shut-down", "REVOKED-SHUTDOWN"],
  [false, "never-seen", "REVOKED-NO-SHOW"],
  [false, "lost", "REVOKED-LOST"],
  [false, "alive", "REVOKED-LOST"],
] as const)("membership (member: %s, %s) is shown as %s", (isMember, life, text) => {
  expect(membershipOf(isMember, life)).toBe(text);
});
