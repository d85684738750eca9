import { describe, expect, it } from "vitest";
import {
  announcementDueMs,
  commandWords,
  planVip,
  type Observed,
  type VipCommand,
} from "../../../../src/vip/core/plan.ts";

const NOTHING: Observed = {
  isFenced: true,
  isGuarded: false,
  isClaimed: false,
  isPermitted: false,
  address: "gone",
  isReported: false,
  isGated: false,
};
const BARE: Observed = { ...NOTHING, isFenced: false };
const GUARDED = { isGuarded: true, isClaimed: true };
const READY = { ...GUARDED, isPermitted: true, address: "there", isReported: true } as const;

type Wanted = "held" | "released";

describe("planVip behind a filter", () => {
  const rows: [string, Wanted, Partial<Observed>, VipCommand | null][] = [
    ["arms the guardian before anything else", "held", {}, "arm-guardian"],
    ["then asks for the permit", "held", GUARDED, "permit"],
    ["then brings the address up", "held", { ...GUARDED, isPermitted: true }, "if-up"],
    ["brings up again what may be gone", "held", { ...READY, address: "unknown" }, "if-up"],
    ["reports when all is there", "held", { ...READY, isReported: false }, "report-armed"],
    ["is content", "held", READY, null],
    ["arms a new guardian", "held", { ...READY, isGuarded: false }, "arm-guardian"],
    ["takes the address down before any proof", "released", READY, "if-down"],
    ["takes down what may be there", "released", { ...READY, address: "unknown" }, "if-down"],
    ["takes down what nobody guards", "released", { address: "unknown" }, "if-down"],
    ["proves what is read back", "released", { ...GUARDED, isGated: true }, "prove-release"],
    ["proves it even if the guardian died", "released", { isClaimed: true }, "prove-release"],
    ["lets the packets of others pass", "released", { isGated: true }, "ungate"],
    ["has nothing left to do", "released", {}, null],
  ];
  it.each(rows)("%s", (_what, wanted, observed, command) => {
    expect(planVip(wanted, { ...NOTHING, ...observed })).toBe(command);
  });
});

describe("planVip without a filter", () => {
  const rows: [string, Wanted, Partial<Observed>, VipCommand | null][] = [
    ["arms the guardian", "held", {}, "arm-guardian"],
    ["reports, and adds no address by itself", "held", GUARDED, "report-armed"],
    ["waits for a renewal", "held", { ...GUARDED, isReported: true }, null],
    ["adds the address when one came", "held", { ...READY, address: "gone" }, "if-up"],
    ["is content", "held", READY, null],
    ["takes the address down", "released", READY, "if-down"],
    ["proves it", "released", { isClaimed: true }, "prove-release"],
    ["has no gate to open", "released", { isGated: true }, null],
  ];
  it.each(rows)("%s", (_what, wanted, observed, command) => {
    expect(planVip(wanted, { ...BARE, ...observed })).toBe(command);
  });
});

describe("planVip in every state", () => {
  const booleans = [false, true];
  const states: Observed[] = booleans.flatMap((isFenced) =>
    booleans.flatMap((isGuarded) =>
      booleans.flatMap((isClaimed) =>
        booleans.flatMap((isPermitted) =>
          booleans.flatMap((isReported) =>
            booleans.flatMap((isGated) =>
              (["gone", "unknown", "there"] as const).map((address) => {
                return {
                  isFenced,
                  isGuarded,
                  isClaimed,
                  isPermitted,
                  isReported,
                  isGated,
                  address,
                };
              }),
            ),
          ),
        ),
      ),
    ),
  );

  it("never shows a proof, nor lifts the gate, while the address is anything but gone", () => {
    for (const state of states.filter(({ address }) => address !== "gone")) {
      for (const wanted of ["held", "released"] as const) {
        expect(["prove-release", "ungate"]).not.toContain(planVip(wanted, state));
      }
    }
  });

  it("never brings an address up that nobody guards, or before filter or renewal", () => {
    for (const state of states) {
      if (planVip("held", state) !== "if-up") continue;
      expect(state).toMatchObject({ isGuarded: true, isPermitted: true });
    }
    for (const state of states) expect(planVip("released", state)).not.toBe("if-up");
  });
});

describe("the announcements", () => {
  it("come at 0, 50, 200 ms, 1 and 5 s, and every 30 s from then on", () => {
    const due = Array.from({ length: 8 }, (_, announced) => announcementDueMs(announced));
    expect(due).toEqual([0, 50, 200, 1000, 5000, 35_000, 65_000, 95_000]);
  });
});

describe("commandWords", () => {
  const up = "/usr/bin/sudo /sbin/ip addr add $_IP_$/24 dev eth0 label eth0:0";

  it("splits into words and puts the address in, wherever it stands", () => {
    expect(commandWords(up, "10.0.0.9", "/sbin")?.slice(4)).toEqual(
      "10.0.0.9/24 dev eth0 label eth0:0".split(" "),
    );
    expect(commandWords("a $_IP_$:$_IP_$", "::1", "/d")).toEqual(["/d/a", "::1:::1"]);
  });

  it("completes a relative program by the directory, an absolute one not", () => {
    expect(commandWords("ip addr", "x", "/usr/sbin/")).toEqual(["/usr/sbin/ip", "addr"]);
    expect(commandWords(" /opt/ip  addr ", "x", "/usr/sbin")).toEqual(["/opt/ip", "addr"]);
  });

  it("knows no shell: what would be special stays a word", () => {
    expect(commandWords("/a $(b) ; 'c d'", "x", "")).toEqual(["/a", "$(b)", ";", "'c", "d'"]);
  });

  it("is null for an empty command", () => {
    expect([commandWords("", "x", "/d"), commandWords("  ", "x", "/d")]).toEqual([null, null]);
  });
});
