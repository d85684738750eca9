import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));

/** The text of a built program and of all that it loads at start; `import()` loads later. */
function loadedAtStart(file: string, seen = new Map<string, string>()): Map<string, string> {
  if (seen.has(file)) return seen;
  const text = readFileSync(file, "utf8");
  seen.set(file, text);
  for (const [, target] of text.matchAll(
    /^(?:import|\} from|import \{[^}]*\} from)\s*"(\.[^"]+)"/gm,
  )) {
    if (target !== undefined) loadedAtStart(join(dirname(file), target), seen);
  }
  return seen;
}

function packagesAtStart(program: string): string[] {
  const text = [...loadedAtStart(join(DIST, program)).values()].join("\n");
  const found = [...text.matchAll(/^\/\/ node_modules\/((?:@[^/]+\/)?[^/]+)\//gm)].map((m) => m[1]);
  return [...new Set(found.filter((name) => name !== undefined))].sort();
}

test.each(["pcp.mjs", "wd-cli.mjs"])("%s loads no package at start", (program) => {
  expect(packagesAtStart(program)).toEqual([]);
});

test("pgquorum loads commander at start, and nothing else", () => {
  expect(packagesAtStart("pgquorum.mjs")).toEqual(["commander"]);
});

test("a worker does load the log's package, so this test can tell", () => {
  expect(packagesAtStart("worker.mjs")).toContain("pino");
});
