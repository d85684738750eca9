import { describe, expect, it } from "vitest";
import { chooseTarget } from "../../../../../src/backend/index.ts";

const backends = [0, 1, 2, 3].map((id) => ({
  id,
  hostname: "db",
  port: 5432,
  applicationName: "",
  state: "up" as const,
  quarantined: false,
}));
const seen = (id: number, replicationSyncState: string, replicationDelayBytes: number) =>
  [id, { replicationSyncState, replicationDelayBytes }] as const;

describe("who takes over when nobody is named", () => {
  it("is the standby that commits wait for", () => {
    const facts = new Map([seen(1, "async", 0), seen(2, "sync", 900), seen(3, "potential", 0)]);
    expect(chooseTarget(backends, 0, facts)).toBe(2);
  });

  it("is the one that is least behind, then the lowest, among equals", () => {
    const facts = new Map([seen(1, "async", 10), seen(2, "async", 5), seen(3, "async", 5)]);
    expect(chooseTarget(backends, 0, facts)).toBe(2);
  });

  it("is never the primary, one that is down or in quarantine, nor one of nothing is known", () => {
    const facts = new Map([seen(0, "", 0), seen(1, "sync", 0), seen(2, "sync", 0), seen(3, "", 9)]);
    const some = backends.map((one) => ({
      ...one,
      state: one.id === 1 ? ("down" as const) : one.state,
      quarantined: one.id === 2,
    }));
    expect(chooseTarget(some, 0, facts)).toBe(3);
    expect(chooseTarget(some.slice(0, 3), 0, facts)).toBeNull();
  });
});
