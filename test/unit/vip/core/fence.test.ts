import { describe, expect, it } from "vitest";
import {
  backstopSeconds,
  explainNftFailure,
  vipLifetimeSeconds,
} from "../../../../src/vip/core/fence.ts";

describe("the lifetime of the address", () => {
  it.each([
    [300, 1],
    [600, 1],
    [2000, 1],
    [2001, 2],
    [3000, 2],
    [60_000, 30],
  ])("as the fence, for wd_lease_time %i ms, is %i s", (ms, seconds) => {
    expect(vipLifetimeSeconds(ms)).toBe(seconds);
  });

  it("behind a filter is longer", () => {
    expect(backstopSeconds(600)).toBe(4);
  });
});

describe("explainNftFailure", () => {
  it.each([
    ["spawn nft ENOENT", "6.1.0", "install the package nftables"],
    ["Error: Could not process rule: Operation not permitted", "6.1.0", "CAP_NET_ADMIN"],
    ["Operation not permitted (you must be root)", "6.1.0", "CAP_NET_ADMIN"],
    ["Error: Could not process rule: Operation not supported", "5.10.0-21", "needs 5.16"],
    ["Error: Could not process rule: Not supported", "4.19.0", "needs 5.16"],
    ["the filter ignores renewals; is the device lo up?", "6.1.0", "is the device lo up?"],
  ])("%s on %s: %s", (reason, kernel, words) => {
    expect(explainNftFailure(reason, kernel)).toContain(words);
  });
});
