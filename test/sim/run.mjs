#!/usr/bin/env node
// Bundles test/sim/main.ts and runs it: `npm run sim -- --help`.
import { importBundled } from "../../scripts/run-bundled.mjs";

process.exitCode = await importBundled("sim", ["test/sim/main.ts"], (main, { program }) =>
  main(process.argv.slice(2), program),
);
