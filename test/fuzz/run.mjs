#!/usr/bin/env node
// Bundles test/fuzz/main.ts and runs it: `npm run fuzz -- --help`.
import { build } from "esbuild";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const root = join(import.meta.dirname, "../..");
await mkdir(join(root, ".build"), { recursive: true });
// Two folders below the root, so that Node finds the packages in the folders above.
const directory = await mkdtemp(join(root, ".build/fuzz-"));
try {
  const outfile = join(directory, "fuzz.mjs");
  await build({
    absWorkingDir: root,
    entryPoints: ["test/fuzz/main.ts"],
    outfile,
    bundle: true,
    packages: "external",
    format: "esm",
    platform: "node",
    target: "node20",
    sourcemap: "inline",
    logLevel: "warning",
  });
  const program = pathToFileURL(outfile);
  const { main } = await import(program.href);
  process.exitCode = await main(process.argv.slice(2), program);
} finally {
  await rm(directory, { recursive: true, force: true });
}
