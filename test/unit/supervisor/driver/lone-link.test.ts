import { describe, expect, it } from "vitest";
import { LoneLink } from "../../../../src/supervisor/driver/cluster-link.ts";
import type { ClusterRequest, FromWatchdog } from "../../../../src/wire/ipc/index.ts";

function startLink(): { link: LoneLink; told: FromWatchdog[] } {
  const told: FromWatchdog[] = [];
  return { link: new LoneLink((message) => void told.push(message)), told };
}

describe("a node without a watchdog", () => {
  it("agrees with itself at once, each state after the one before", () => {
    const { link, told } = startLink();
    link.propose(1, 0, "a");
    link.propose(2, 1, "b");
    expect(told).toEqual([
      { type: "committed", index: 1, term: 1, value: "a" },
      { type: "settled", index: 1 },
      { type: "committed", index: 2, term: 1, value: "b" },
      { type: "settled", index: 2 },
    ]);
  });

  it("refuses a state that does not follow the newest, as a cluster would", () => {
    const { link, told } = startLink();
    link.propose(1, 0, "a");
    link.propose(2, 0, "b");
    link.propose(3, 2, "c");
    const reason = "a newer state exists";
    expect(told.slice(2)).toEqual([
      { type: "proposal-refused", id: 2, reason },
      { type: "proposal-refused", id: 3, reason },
    ]);
  });

  it("grants its own votes, has no process and stops at once", async () => {
    const { link, told } = startLink();
    const request: ClusterRequest = {
      kind: "detach",
      backendIds: [1],
      confirmed: false,
      switchoverTo: null,
      reason: "down",
    };
    link.vote(request);
    expect(told).toEqual([{ type: "granted", request }]);
    expect(link.pid).toBeNull();
    await link.stop();
  });
});
