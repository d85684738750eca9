// Bundles a TypeScript program of the project and runs it as a process of its own.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

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

/**
 * Bundles programs (the first one exports `main`) into a folder of their own and runs `main` in this
 * process; the folder goes when it is over.
 *
 * @param use gets `main`, the folder and the first program's URL; gives the exit code.
 */
export async function importBundled(name, entryPoints, use) {
  await mkdir(join(root, ".build"), { recursive: true });
  // Two folders below the root, like the sources: what finds the root from its own place still does,
  // and Node finds the packages in the folders above.
  const directory = await mkdtemp(join(root, `.build/${name}-`));
  try {
    await build({
      ...OPTIONS,
      entryPoints,
      outdir: directory,
      outExtension: { ".js": ".mjs" },
      sourcemap: "inline",
    });
    const program = pathToFileURL(join(directory, basename(entryPoints[0], ".ts") + ".mjs"));
    const { main } = await import(program.href);
    return await use(main, { root, directory, program });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const OPTIONS = {
  absWorkingDir: root,
  bundle: true,
  packages: "external",
  format: "esm",
  platform: "node",
  target: "node20",
  logLevel: "warning",
};

async function bundleAndRun(entry, words) {
  await mkdir(join(root, ".build"), { recursive: true });
  // A folder below the root, like dist: what finds the root from its own place still does.
  const outfile = join(root, `.build/${entry.replaceAll(/\W/g, "-")}-${process.pid}.mjs`);
  // Ctrl-C is heard by the program itself; this one waits for what it makes of it.
  process.on("SIGINT", () => undefined).on("SIGTERM", () => undefined);
  try {
    await build({ ...OPTIONS, entryPoints: [entry], outfile });
    return run(process.execPath, [outfile, ...words]);
  } finally {
    await rm(outfile, { force: true });
  }
}
