#!/usr/bin/env node
// Bundles a bench and runs it: `node bench/run.mjs relay --help`, which is also what runs when no bench is
// named, or `node bench/run.mjs vip --help`.
import { build } from "esbuild";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runBundled } from "../scripts/run-bundled.mjs";

const root = join(import.meta.dirname, "..");

async function relay(words) {
  await mkdir(join(root, ".build"), { recursive: true });
  // Two folders below the root, like the sources: what finds the root from its own place still does,
  // and Node finds the packages in the folders above.
  const directory = await mkdtemp(join(root, ".build/bench-"));
  try {
    await build({
      absWorkingDir: root,
      entryPoints: ["bench/relay.ts", "bench/crowd-program.ts"],
      outdir: directory,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      packages: "external",
      format: "esm",
      platform: "node",
      target: "node20",
      logLevel: "warning",
    });
    const { main } = await import(pathToFileURL(join(directory, "relay.mjs")).href);
    process.exitCode = await main(words, { root, directory });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const [first, ...rest] = process.argv.slice(2);
if (first === "vip") process.exitCode = await runBundled("bench/vip.ts", rest);
else await relay(first === "relay" ? rest : process.argv.slice(2));
