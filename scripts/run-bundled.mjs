// Bundles a TypeScript program of the project and runs it as a process of its own.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/**
 * Returns the exit code. What the program needs is there before: packages and programs of the
 * product, unless only help is asked for.
 */
export async function runBundled(entry, words) {
  const isHelp = words.includes("--help") || words.includes("-h");
  const prepared = isHelp ? 0 : prepare();
  return prepared === 0 ? bundleAndRun(entry, words) : prepared;
}

/** The packages that tests need, when we may install them, and the product as the sources are. */
export function prepare() {
  const installed = process.getuid() === 0 ? run("scripts/install-packages", ["--tests"]) : 0;
  return installed === 0 ? run(process.execPath, ["scripts/build.mjs"]) : installed;
}

export function run(program, words) {
  return spawnSync(program, words, { cwd: root, stdio: "inherit" }).status ?? 128;
}

async function bundleAndRun(entry, words) {
  await mkdir(join(root, ".build"), { recursive: true });
  // A folder below the root, like dist: what finds the root from its own place still does.
  const outfile = join(root, `.build/${entry.replaceAll(/\W/g, "-")}-${process.pid}.mjs`);
  // Ctrl-C is heard by the program itself; this one waits for what it makes of it.
  process.on("SIGINT", () => undefined).on("SIGTERM", () => undefined);
  try {
    await build({
      absWorkingDir: root,
      entryPoints: [entry],
      outfile,
      bundle: true,
      packages: "external",
      format: "esm",
      platform: "node",
      target: "node20",
      logLevel: "warning",
    });
    return run(process.execPath, [outfile, ...words]);
  } finally {
    await rm(outfile, { force: true });
  }
}
