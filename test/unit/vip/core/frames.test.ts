import { describe, expect, it } from "vitest";
import { addressBytes, isSameAddress } from "../../../../src/vip/core/address-bytes.ts";
import { announcements, probe } from "../../../../src/vip/core/frames.ts";

const HARDWARE = Buffer.from("020000000001", "hex");

function hex(frame: Buffer | undefined): string {
  return frame?.toString("hex") ?? "";
}

describe("addressBytes", () => {
  it.each([
    ["10.0.0.100", "0a000064"],
    ["fd00::64", "fd000000000000000000000000000064"],
    ["::1", "00000000000000000000000000000001"],
    ["fe80::", "fe800000000000000000000000000000"],
    ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
    ["::ffff:10.0.0.1", "00000000000000000000ffff0a000001"],
  ])("of %s", (text, bytes) => {
    expect(addressBytes(text).toString("hex")).toBe(bytes);
    expect(isSameAddress(Buffer.from(bytes, "hex"), text)).toBe(true);
  });

  it.each(["10.0.0", "10.0.0.256", "1:2", "x"])("takes %s for a bug", (text) => {
    expect(() => addressBytes(text)).toThrow();
  });
});

describe("frames", () => {
  it("of ARP announce in both forms, from and about the address", () => {
    const [request, reply] = announcements("10.0.0.100", HARDWARE);
    const head = "ffffffffffff0200000000010806000108000604";
    expect(hex(request)).toBe(`${head}00010200000000010a0000640000000000000a000064`);
    expect(hex(reply)).toBe(`${head}00020200000000010a0000640200000000010a000064`);
  });

  it("of ARP ask without a sender's address, so that nobody learns one", () => {
    const asked = hex(probe("10.0.0.100", HARDWARE)).slice(28);
    expect(asked).toBe("0001080006040001020000000001000000000000000000000a000064");
  });

  it.each([
    ["announcement", announcements("fd00::64", HARDWARE)[0], "333300000001"],
    ["question", probe("fd00::64", HARDWARE), "3333ff000064"],
  ])("of neighbour discovery: %s, with the right checksum", (_, frame, to) => {
    const bytes = frame ?? Buffer.alloc(0);
    expect(hex(bytes).slice(0, 12)).toBe(to);
    const length = bytes.readUInt16BE(18);
    expect(bytes.length).toBe(14 + 40 + length);
    const summed = Buffer.concat([bytes.subarray(22, 54), Buffer.alloc(4), bytes.subarray(54)]);
    summed.writeUInt16BE(length, 34);
    let sum = 58;
    for (let at = 0; at < summed.length; at += 2) sum += summed.readUInt16BE(at);
    expect((sum & 0xffff) + (sum >> 16)).toBe(0xffff);
  });
});
