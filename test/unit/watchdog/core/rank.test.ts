import { expect, it } from "vitest";
import { standingOrder, type Candidate } from "../../../../src/watchdog/core/rank.ts";

const node = (id: number, priority: number, isThere = true): Candidate => ({
  id,
  priority,
  isThere,
});

it.each<[string, Candidate[], number[]]>([
  ["a lone node", [node(2, 1)], [2]],
  ["equals by id", [node(2, 1), node(0, 1), node(1, 1)], [0, 1, 2]],
  ["the highest priority first", [node(0, 1), node(1, 4), node(2, 5)], [2, 1, 0]],
  ["priority 0 behind the initial 1", [node(0, 0), node(1, 1), node(2, 1)], [1, 2, 0]],
  ["absent ones last, by the same rule", [node(0, 9, false), node(1, 1), node(2, 9)], [2, 1, 0]],
  ["many", [3, 1, 4, 1, 5].map((priority, id) => node(id, priority)), [4, 2, 0, 1, 3]],
])("the order of standing: %s", (_what, candidates, order) => {
  expect(standingOrder(candidates)).toEqual(order);
});
