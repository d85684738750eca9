import { describe, expect, it } from "vitest";
import { ForwardingGate } from "../../../../../src/proxy/core/routing/index.ts";
import { LEASE_FOR_EVER_MS, type ClusterView } from "../../../../../src/wire/ipc/index.ts";
import { VIEW } from "../session/world.ts";

const LIMITS = { withoutLeaseMs: 600, withoutPrimaryMs: 5000 };

function gateAt(nowMs: number, view: Partial<ClusterView> = {}): ForwardingGate {
  const gate = new ForwardingGate(LIMITS, nowMs);
  gate.viewTaken({ ...VIEW, ...view }, nowMs);
  return gate;
}

describe("the gate of a worker", () => {
  it("holds before the first lease, forwards during it, holds after it, and refuses then", () => {
    const gate = gateAt(1000);
    expect([gate.isOpen(1000), gate.refusal(1000)]).toEqual([false, null]);
    gate.leaseTaken(2000);
    expect(gate.isOpen(1999.999)).toBe(true);
    expect([gate.isOpen(2000), gate.refusal(2000), gate.refusal(2599)]).toEqual([
      false,
      null,
      null,
    ]);
    expect(gate.refusal(2600)).toContain("lost the quorum");
    gate.leaseTaken(3000);
    expect(gate.isOpen(2700)).toBe(true);
  });

  it("refuses a new worker that is never given a lease, in time", () => {
    const gate = gateAt(1000);
    expect(gate.wakeAtMs(1000)).toBe(1600);
    expect([gate.refusal(1599), gate.refusal(1600)]).toEqual([null, expect.any(String)]);
  });

  it("takes no lease back, and is not opened by one that came too late", () => {
    const gate = gateAt(0);
    gate.leaseTaken(500);
    gate.leaseTaken(400);
    expect(gate.isOpen(450)).toBe(true);
    gate.leaseTaken(550);
    expect(gate.isOpen(560)).toBe(false);
  });

  it("is shut by a refusal of the supervisor, whatever the lease, and tells its reason", () => {
    const gate = gateAt(0, { refusal: "no watchdog" });
    gate.leaseTaken(LEASE_FOR_EVER_MS);
    expect([gate.isOpen(1), gate.isOpenForEver, gate.refusal(1)]).toEqual([
      false,
      false,
      "no watchdog",
    ]);
    gate.viewTaken(VIEW, 2);
    expect([gate.isOpen(3), gate.isOpenForEver]).toEqual([true, true]);
  });

  it("holds for a primary while a failover runs, but not for ever", () => {
    const gate = gateAt(0);
    expect(gate.awaitsPrimary(0)).toBe(false);
    gate.viewTaken({ ...VIEW, primaryId: null, awaitsPrimary: true }, 100);
    // What else changes meanwhile does not begin the time anew.
    gate.viewTaken({ ...VIEW, primaryId: null, awaitsPrimary: true, epoch: 9 }, 4000);
    expect([gate.awaitsPrimary(5099), gate.awaitsPrimary(5100)]).toEqual([true, false]);
    gate.viewTaken(VIEW, 6000);
    gate.viewTaken({ ...VIEW, awaitsPrimary: true }, 7000);
    expect(gate.awaitsPrimary(7000)).toBe(true);
  });

  it("asks to be looked at again when time alone changes an answer", () => {
    const gate = gateAt(0);
    gate.leaseTaken(1000);
    gate.viewTaken({ ...VIEW, awaitsPrimary: true }, 100);
    expect([gate.wakeAtMs(100), gate.wakeAtMs(1600), gate.wakeAtMs(5100)]).toEqual([
      1600,
      5100,
      null,
    ]);
    gate.leaseTaken(LEASE_FOR_EVER_MS);
    expect(gate.wakeAtMs(5100)).toBeNull();
  });
});
