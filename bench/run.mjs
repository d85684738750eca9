#!/usr/bin/env node
// Bundles bench/compare.ts and runs it: `node bench/run.mjs --help`.
import { build } from "esbuild";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const root = join(import.meta.dirname, "..");
await mkdir(join(root, ".build"), { recursive: true });
// Two folders below the root, like the sources: what finds the root from its own place still does,
// and Node finds the packages in the folders above.
const directory = await mkdtemp(join(root, ".build/bench-"));
try {
  const outfile = join(directory, "compare.mjs");
  await build({
    absWorkingDir: root,
    entryPoints: ["bench/compare.ts"],
    outfile,
    bundle: true,
    packages: "external",
    format: "esm",
    platform: "node",
    target: "node20",
    logLevel: "warning",
  });
  const { main } = await import(pathToFileURL(outfile).href);
  process.exitCode = await main(process.argv.slice(2), directory);
} finally {
  await rm(directory, { recursive: true, force: true });
}
