import { describe, expect, it } from "vitest";
import { formatIpv6, NO_NAME, readSocketName } from "../../../../src/proxy/driver/socket-name.ts";

const UNIX = (_fd: number, address: Uint8Array): number => {
  address.set([1, 0]);
  return 0;
};

describe("the name of one end of a connection", () => {
  it.each([
    ["0".repeat(31) + "1", "::1"],
    ["0".repeat(32), "::"],
    ["20010db8000000000000000000000001", "2001:db8::1"],
    ["20010db8000000010000000000000001", "2001:db8:0:1::1"],
    ["20010db8000100010001000100010001", "2001:db8:1:1:1:1:1:1"],
    ["fe800000000000000000000000000000", "fe80::"],
    ["20010db8000000010001000100010001", "2001:db8:0:1:1:1:1:1"],
    ["00000000000000000000ffffc0000201", "::ffff:192.0.2.1"],
  ])("writes %s as %s", (hex, text) => {
    expect(formatIpv6(Buffer.from(hex, "hex"))).toBe(text);
  });

  it("is read from what the kernel says", () => {
    const ask = (_fd: number, address: Uint8Array): number => {
      address.set([2, 0, 0x15, 0x38, 127, 0, 0, 1]);
      return 0;
    };
    expect(readSocketName(ask, 3)).toEqual({ address: "127.0.0.1", port: 5432 });
  });

  it("is none for a Unix socket, or one that is gone", () => {
    expect(readSocketName(UNIX, 3)).toBe(NO_NAME);
    expect(readSocketName(() => -1, 3)).toBe(NO_NAME);
  });
});
