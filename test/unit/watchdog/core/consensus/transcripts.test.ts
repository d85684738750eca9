import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { playTranscript } from "./transcript.ts";

const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".txt"));

describe("consensus, told as stories", () => {
  it.each(files)("does what %s says", (name) => {
    const path = `${import.meta.dirname}/${name}`;
    const written = readFileSync(path, "utf8");
    const played = playTranscript(written);
    if (process.env.UPDATE_GOLDEN === "1") writeFileSync(path, played);
    else expect(played).toBe(written);
  });

  it("has its stories beside it", () => {
    expect(files.length).toBeGreaterThanOrEqual(12);
  });
});
