import { expect, it } from "vitest";
import { rankOf, type Candidate } from "../../../../src/watchdog/core/rank.ts";

const node = (id: number, priority: number): Candidate => ({ id, priority });

it.each([
  ["nobody else is there", node(2, 1), [], 0],
  ["all are equal: the lowest id goes first", node(0, 1), [node(1, 1), node(2, 1)], 0],
  ["all are equal: the highest id goes last", node(2, 1), [node(0, 1), node(1, 1)], 2],
  ["its priority is the highest", node(2, 5), [node(0, 1), node(1, 4)], 0],
  ["its priority is the lowest", node(0, 0), [node(1, 1), node(2, 1)], 2],
  ["one is above, one equal with a higher id", node(1, 3), [node(0, 7), node(2, 3)], 1],
])("a node's rank when %s", (_what, self, others, rank) => {
  expect(rankOf(self, others)).toBe(rank);
});

it("gives every node of a cluster a rank of its own", () => {
  const all = [3, 1, 4, 1, 5].map((priority, id) => node(id, priority));
  const ranks = all.map((self) =>
    rankOf(
      self,
      all.filter((other) => other !== self),
    ),
  );
  expect(ranks).toEqual([2, 3, 1, 4, 0]);
});
