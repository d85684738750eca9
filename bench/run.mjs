#!/usr/bin/env node
// Bundles a bench and runs it: `node bench/run.mjs relay --help`, which is also what runs when no bench is
// named, or `node bench/run.mjs vip --help`, or `node bench/run.mjs routing --help`.
import { importBundled, runBundled } from "../scripts/run-bundled.mjs";

const [first, ...rest] = process.argv.slice(2);
if (first === "vip") {
  process.exitCode = await runBundled("bench/vip.ts", rest);
} else if (first === "routing") {
  process.exitCode = await importBundled("bench", ["bench/routing.ts"], (main, { root }) =>
    main(rest, root),
  );
} else {
  const words = first === "relay" ? rest : process.argv.slice(2);
  const programs = ["bench/relay.ts", "bench/crowd-program.ts"];
  process.exitCode = await importBundled("bench", programs, (main, { root, directory }) =>
    main(words, { root, directory }),
  );
}
