import { describe, expect, it } from "vitest";
import {
  armText,
  ARMS_MAX,
  canName,
  deviceText,
  NONCE_BYTES,
  parseFence,
  renewalBytes,
  tableText,
  ungateText,
  type FenceText,
} from "../../../../src/vip/core/nft-text.ts";

const FENCE: FenceText = {
  table: "pgquorum_1_9999",
  run: "run_07",
  vip: "10.0.0.100",
  userId: 33,
  renewPort: 40_001,
  closePort: 40_002,
  leaseMs: 252,
};
const FENCE_6: FenceText = { ...FENCE, vip: "fd00::64" };

function rulesTo(text: string, port: number): string[] {
  return text.split("\n").filter((line) => line.includes(`udp dport ${port} `));
}

describe("the table", () => {
  it.each([
    ["IPv4", FENCE],
    ["IPv6", FENCE_6],
  ])("of %s opens only by a datagram of the right user while the permit lives", (_, fence) => {
    const [renewal = "", ...more] = rulesTo(
      tableText(fence, ["eth0"], "replaced"),
      fence.renewPort,
    );
    expect(more).toEqual([]);
    const words = ["meta skuid 33", "udp length @permit", "update @permit", "update @lease"];
    const places = words.map((word) => renewal.indexOf(word));
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((a, b) => a - b)); // Asked before it is extended.
    expect(renewal).toContain("timeout 252ms");
    expect(renewal.endsWith("drop")).toBe(true);
  });

  it.each([
    ["IPv4", FENCE],
    ["IPv6", FENCE_6],
  ])("of %s sets the lease nowhere else", (_, fence) => {
    const text =
      tableText(fence, ["eth0"], "replaced") + armText(fence, 1) + ungateText(fence, true);
    expect(text.match(/(?:update|add element .*) @?lease/g)).toHaveLength(1);
    const [closing = ""] = rulesTo(text, fence.closePort);
    expect(closing).toContain("meta skuid 33 delete @lease");
    expect(closing).toContain("delete @permit");
  });

  it("is shut from the start, and gates every device both ways", () => {
    const text = tableText(FENCE, ["eth0", "eth1.5"], "replaced");
    expect(text).toContain("set gated { typeof ip daddr; size 16; elements = { 10.0.0.100 }; }");
    for (const device of ["eth0", "eth1.5"]) {
      expect(text).toContain(`hook ingress device "${device}"`);
      expect(text).toContain(`hook egress device "${device}"`);
    }
  });

  it("stops ARP as well as IP, and neighbour discovery by what it asks about", () => {
    const text = tableText(FENCE, [], "replaced");
    for (const [word, set] of [
      ["ip daddr", "gated"],
      ["arp daddr ip", "gated"],
      ["ip saddr", "gated"],
      ["arp saddr ip", "gated"],
      ["ip saddr", "silent"],
      ["arp saddr ip", "silent"],
    ]) {
      expect(text).toMatch(new RegExp(`${word} @${set} ${word} != @lease .* drop`));
    }
    const target = "@th,64,128 0xfd000000000000000000000000000064";
    expect(tableText(FENCE_6, [], "replaced")).toContain(`nd-neighbor-solicit ${target} counter`);
    expect(tableText(FENCE_6, [], "replaced")).toContain(`nd-neighbor-advert ${target} counter`);
  });

  it("replaces one that an earlier run left, in the same transaction", () => {
    expect(
      tableText(FENCE, [], "replaced").startsWith(`table netdev ${FENCE.table} {\n}\ndelete table`),
    ).toBe(true);
  });
});

describe("an arm", () => {
  it("has a permit of its own number, which the next does not have", () => {
    const numberOf = (arm: number) =>
      /permit \{ (\d+) timeout 252ms/.exec(armText(FENCE, arm))?.[1];
    expect(numberOf(1)).toBe(String(8 + renewalBytes(1)));
    const all = Array.from({ length: ARMS_MAX }, (_, arm) => numberOf(arm));
    expect(new Set(all).size).toBe(ARMS_MAX);
    expect(renewalBytes(ARMS_MAX)).toBe(NONCE_BYTES);
  });

  it("shuts the gate in the same transaction, and takes nothing out, which would take long", () => {
    expect(armText(FENCE, 1)).toContain("gated { 10.0.0.100 }");
    expect(armText(FENCE_6, 1)).toContain("gated { ip6 }");
    expect(armText(FENCE, 1)).not.toMatch(/flush set|delete/);
  });
});

describe("after a release", () => {
  it("rivals of before are forgotten, and none is noted before the next arm", () => {
    expect(ungateText(FENCE, true)).toContain("flush set netdev pgquorum_1_9999 rivals");
    expect(tableText(FENCE, [], "new")).toMatch(/saddr ip @gated update @rivals/);
    expect(tableText(FENCE_6, [], "new")).toMatch(/meta protocol @gated .* update @rivals/);
  });

  it("what waits to leave as the address is kept back for longer than a neighbour is asked for", () => {
    const text = ungateText(FENCE, true);
    expect(text).not.toContain("gated {");
    const [, timeoutMs] = /silent \{ 10\.0\.0\.100 timeout (\d+)ms \}/.exec(text) ?? [];
    expect(Number(timeoutMs)).toBeGreaterThan(5000);
    expect(ungateText(FENCE, false)).not.toContain("add element");
  });

  it.each([
    ["arm", armText(FENCE, 1)],
    ["ungate", ungateText(FENCE, true)],
  ])("%s of one run changes no table of another", (_, text) => {
    expect(tableText(FENCE, [], "replaced")).toContain("chain run_07 { }");
    expect(text.startsWith(`flush chain netdev ${FENCE.table} run_07\n`)).toBe(true);
  });
});

describe("a device", () => {
  it("has its two chains, by a number", () => {
    expect(deviceText("t", "eth0", 7).match(/(?:in|out)7/g)).toHaveLength(4);
  });

  it.each([
    ["eth0", true],
    ["br-1a2b@x", true],
    ['a"b', false],
    ["a b", false],
    ["", false],
  ])("named %s can be spelt: %s", (name, isGood) => {
    expect(canName(name)).toBe(isGood);
  });
});

describe("parseFence", () => {
  it("reads what nft lists", () => {
    const json = JSON.stringify({
      nftables: [
        { metainfo: { version: "1.0.6" } },
        { counter: { name: "blocked_in", packets: 3, bytes: 126 } },
        { counter: { name: "blocked_out", packets: 1, bytes: 42 } },
        { set: { name: "lease", elem: [{ elem: { val: "10.0.0.100", timeout: 0 } }] } },
        { set: { name: "rivals", elem: [{ elem: { val: "02:00:00:00:00:01" } }, "aa:bb"] } },
      ],
    });
    expect(parseFence(json)).toEqual({
      isOpen: true,
      rivals: ["02:00:00:00:00:01", "aa:bb"],
      blockedIn: 3,
      blockedOut: 1,
    });
  });

  it("takes a set without elements for empty", () => {
    expect(parseFence('{"nftables":[{"set":{"name":"lease"}}]}')?.isOpen).toBe(false);
  });

  it.each(["", "[]", "null", "{}", "Error: no such table"])("refuses %j", (text) => {
    expect(parseFence(text)).toBeNull();
  });
});
