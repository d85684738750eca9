import { describe, expect, it } from "vitest";
import { RandomSupply } from "../../../../src/proxy/driver/random-supply.ts";

describe("random bytes for keys", () => {
  it("are never given twice, also when more must be drawn", () => {
    const supply = new RandomSupply();
    const keys = Array.from({ length: 1000 }, (_, i) => supply.take(i % 2 === 0 ? 16 : 32));
    const texts = keys.map((key) => key.toString("hex"));
    expect(new Set(texts.map((text) => text.slice(0, 32))).size).toBe(keys.length);
    expect(keys.every((key, i) => key.length === (i % 2 === 0 ? 16 : 32))).toBe(true);
  });

  it("stay what they are while others are drawn", () => {
    const supply = new RandomSupply();
    const key = supply.take(4096);
    const before = key.toString("hex");
    expect(key.some((byte) => byte !== 0)).toBe(true);
    for (let i = 0; i < 3; i += 1) supply.take(4096);
    expect(key.toString("hex")).toBe(before);
  });
});
