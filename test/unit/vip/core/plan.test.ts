import { describe, expect, it } from "vitest";
import {
  announcementDueMs,
  commandWords,
  planVip,
  vipLifetimeSeconds,
  type Observed,
  type VipCommand,
} from "../../../../src/vip/core/plan.ts";

describe("planVip", () => {
  const rows: [string, "held" | "released", Partial<Observed>, VipCommand | null][] = [
    ["arms the guardian before the address exists", "held", {}, "arm"],
    ["brings the address up", "held", { isArmed: true }, "if-up"],
    [
      "brings it up again when it may be gone",
      "held",
      { isArmed: true, address: "unknown" },
      "if-up",
    ],
    ["tells the neighbours", "held", { isArmed: true, address: "there" }, "announce"],
    ["is content", "held", { isArmed: true, address: "there", isAnnounced: true }, null],
    ["arms a new guardian for an address that is there", "held", { address: "there" }, "arm"],
    ["takes it down before any proof", "released", { isArmed: true, address: "there" }, "if-down"],
    ["takes down what may be there", "released", { isArmed: true, address: "unknown" }, "if-down"],
    ["takes down what nobody guards", "released", { address: "unknown" }, "if-down"],
    ["proves what is read back", "released", { isArmed: true }, "prove-release"],
    ["has nothing to prove", "released", {}, null],
  ];
  it.each(rows)("%s", (_what, wanted, observed, command) => {
    const nothing: Observed = { isArmed: false, address: "gone", isAnnounced: false };
    expect(planVip(wanted, { ...nothing, ...observed })).toBe(command);
  });

  it("never shows a proof while the address is anything but gone", () => {
    for (const isArmed of [false, true]) {
      for (const isAnnounced of [false, true]) {
        for (const address of ["unknown", "there"] as const) {
          for (const wanted of ["held", "released"] as const) {
            expect(planVip(wanted, { isArmed, isAnnounced, address })).not.toBe("prove-release");
          }
        }
      }
    }
  });
});

describe("the announcements", () => {
  it("come at 0, 50, 200 ms, 1 and 5 s, and every 30 s from then on", () => {
    const due = Array.from({ length: 8 }, (_, announced) => announcementDueMs(announced));
    expect(due).toEqual([0, 50, 200, 1000, 5000, 35_000, 65_000, 95_000]);
  });
});

describe("vipLifetimeSeconds", () => {
  it.each([
    [300, 1],
    [600, 1],
    [2000, 1],
    [2001, 2],
    [3000, 2],
    [60_000, 30],
  ])("a promise of %i ms gives %i s: half of it, in whole seconds, one at least", (ms, seconds) => {
    expect(vipLifetimeSeconds(ms)).toBe(seconds);
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
