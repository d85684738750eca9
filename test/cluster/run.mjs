#!/usr/bin/env node
// `npm run test:cluster`: the tests of the installed product in the lab. With the word `vip`, rounds of
// faults around the virtual IP instead, with `failover`, rounds of faults around the primary:
// `npm run test:cluster -- vip --help`.
import { prepare, run, runBundled } from "../../scripts/run-bundled.mjs";

const [first, ...rest] = process.argv.slice(2);
if (first === "vip" || first === "failover") {
  process.exitCode = await runBundled(`test/cluster/${first}/main.ts`, rest);
} else {
  const words = ["vitest", "run", "--config", "test/cluster/vitest.config.ts"];
  const prepared = prepare();
  process.exitCode = prepared === 0 ? run("npx", [...words, ...process.argv.slice(2)]) : prepared;
}
