#!/usr/bin/env node
// `npm run test:drivers`: real drivers, directly against PostgreSQL and through a node, compared. With
// the word `pg_regress`, PostgreSQL's own regression tests instead.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { run, runBundled } from "../../scripts/run-bundled.mjs";

const root = join(import.meta.dirname, "../..");
const [first, ...rest] = process.argv.slice(2);
const isRegress = first === "pg_regress";
const words = isRegress ? rest : process.argv.slice(2);
process.env.PGQUORUM_DIST ??= join(root, "dist");

const allowMissing = words.includes("--allow-missing");
const isHelp = words.includes("--help") || words.includes("-h");
const installed = isHelp ? 0 : installDrivers();
const entry = isRegress ? "test/drivers/pg-regress.ts" : "test/drivers/main.ts";
process.exitCode = installed === 0 || allowMissing ? await runBundled(entry, words) : installed;

// Without root it only says what is missing, so that the suite can name the drivers it skips.
function installDrivers() {
  const command = join(root, "scripts/install-packages");
  if (process.getuid() === 0) return run(command, ["--drivers"]);
  const { stdout } = spawnSync(command, ["--drivers", "--list"], { encoding: "utf8" });
  if (stdout.trim() === "") return 0;
  process.stderr.write(
    `missing packages, install them as root: ${stdout.trim().split("\n").join(" ")}\n`,
  );
  return 0;
}
