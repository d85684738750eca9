import { expect, it } from "vitest";
import { loadingView } from "../../../../src/supervisor/core/loading-view.ts";
import { formatWatchdogJson } from "../../../../src/wire/pcp/index.ts";
import { configOf, NODE_ID_1, ONE_BACKEND, THREE_NODES } from "../../config/load-text.ts";

it("a node whose watchdog has not spoken yet is loading, the others are not known", () => {
  const config = configOf(`${ONE_BACKEND}${THREE_NODES}wd_priority = 3`, NODE_ID_1);
  const view = loadingView(config);
  expect(view.nodes.map(({ id, state, priority }) => [id, state, priority])).toEqual([
    [1, "LOADING", 3],
    [0, "DEAD", 1],
    [2, "DEAD", 1],
  ]);
  expect(view).toMatchObject({ selfId: 1, leaderId: null, neededForQuorum: 2, memberCount: 3 });
  expect(formatWatchdogJson(view, -1, "4.3")).toContain(
    '"QuorumStatus":-2,"AliveNodeCount":0,"Escalated":0,"LeaderNodeName":"Not Set"',
  );
});
