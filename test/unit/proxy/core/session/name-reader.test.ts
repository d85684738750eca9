import fc from "fast-check";
import { expect, test } from "vitest";
import { NameReader } from "../../../../../src/proxy/core/session/name-reader.ts";

test("names are read as they are, whatever was read before", () => {
  const name = fc.oneof(
    fc.constantFrom("", "a", "ab", "abc", "é", "x".repeat(63), "x".repeat(64), "x".repeat(65)),
    fc.string({ unit: fc.constantFrom("a", "b") }),
  );
  fc.assert(
    fc.property(fc.array(name), (names) => {
      const reader = new NameReader();
      for (const name of names) {
        const bytes = Buffer.from(`--${name}\0\0`, "utf8");
        expect(reader.read(bytes, 2, bytes.length)).toBe(name);
        // It does not end within its message.
        expect(reader.read(bytes, 2, bytes.length - 2)).toBeNull();
      }
    }),
  );
});
