#!/usr/bin/env node
// Bundles bench/compare.ts and runs it: `node bench/run.mjs --help`. With the word `vip`, bench/vip.ts
// instead: `node bench/run.mjs vip --help`.
import { build } from "esbuild";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runBundled } from "../scripts/run-bundled.mjs";

const root = join(import.meta.dirname, "..");

async function compare(words) {
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
    process.exitCode = await main(words, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const [first, ...rest] = process.argv.slice(2);
if (first === "vip") process.exitCode = await runBundled("bench/vip.ts", rest);
else await compare(process.argv.slice(2));
