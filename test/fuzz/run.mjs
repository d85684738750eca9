#!/usr/bin/env node
// Bundles test/fuzz/main.ts and runs it: `npm run fuzz -- --help`.
import { importBundled } from "../../scripts/run-bundled.mjs";

process.exitCode = await importBundled("fuzz", ["test/fuzz/main.ts"], (main, { program }) =>
  main(process.argv.slice(2), program),
);
