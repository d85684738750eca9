import { describe, expect, it } from "vitest";
import { isDownRequested, withRequestDone } from "../../../../../src/backend/index.ts";

describe("the file backend_down_request", () => {
  it("asks for the backends that it names with the word down", () => {
    const text = "0\tup\n1\tdown\n12 down\n3\talready_down\n\nnonsense\n";
    const asked = [0, 1, 2, 3, 12].filter((id) => isDownRequested(text, id));
    expect(asked).toEqual([1, 12]);
    expect(isDownRequested("", 0)).toBe(false);
    expect(isDownRequested(`${"0\tup\n".repeat(1000)}1\tdown\n`, 1)).toBe(false);
  });

  it("says when a check has failed by it, and leaves the other lines as they are", () => {
    expect(withRequestDone("0\tdown\n1\tdown", 1)).toBe("0\tdown\n1\talready_down\n");
  });
});
