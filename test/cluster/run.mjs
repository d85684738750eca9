#!/usr/bin/env node
// `npm run test:cluster [-- vip …]`: the tests of the installed product in the lab; with the word
// `vip`, rounds of faults around the virtual IP instead: `npm run test:cluster -- vip --help`.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
const [first, ...rest] = process.argv.slice(2);

function run(program, args) {
  const ran = spawnSync(program, args, { cwd: root, stdio: "inherit" });
  return ran.status ?? 128;
}

async function runVip() {
  // A folder below the root, like dist: what finds the root from its own place still does.
  const outfile = join(root, `.build/cluster-vip-${process.pid}.mjs`);
  await mkdir(join(root, ".build"), { recursive: true });
  // Ctrl-C is heard by the program itself; this one waits for what it makes of it.
  process.on("SIGINT", () => undefined).on("SIGTERM", () => undefined);
  try {
    await build({
      absWorkingDir: root,
      entryPoints: ["test/cluster/vip/main.ts"],
      outfile,
      bundle: true,
      packages: "external",
      format: "esm",
      platform: "node",
      target: "node20",
      logLevel: "warning",
    });
    return run(process.execPath, [outfile, ...rest]);
  } finally {
    await rm(outfile, { force: true });
  }
}

const isHelp = rest.includes("--help") || rest.includes("-h");
if (!isHelp) {
  const packages = process.getuid() === 0 ? run("scripts/install-packages", ["--tests"]) : 0;
  const built = packages === 0 ? run(process.execPath, ["scripts/build.mjs"]) : packages;
  if (built !== 0) process.exit(built);
}
const vitest = ["run", "--config", "test/cluster/vitest.config.ts"];
process.exitCode =
  first === "vip" ? await runVip() : run("npx", ["vitest", ...vitest, ...process.argv.slice(2)]);
