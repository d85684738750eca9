import { execFile } from "node:child_process";
import { chmod, copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

const ROOT = join(import.meta.dirname, "../..");

/** Where Debian's package pgpool2 puts the programs that ours are compared with. */
const ORACLE_DIRECTORY = "/usr/sbin";

/** What a node consists of, and what asks it. */
export const NODE_PROGRAMS = {
  pgpool: "src/cli/pgpool.ts",
  pgquorum: "src/cli/pgquorum.ts",
  pcp: "src/cli/pcp.ts",
  worker: "src/proxy/worker.ts",
  watchdog: "src/watchdog/process.ts",
};

export interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; `input` is all of its standard input. */
export function run(
  program: string,
  args: readonly string[],
  own: { readonly env?: Readonly<Record<string, string>>; readonly input?: string } = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...own.env };
    const child = execFile(program, args, { env, timeout: 30_000 }, (error, stdout, stderr) => {
      // A text instead of a number: the program could not be started.
      if (typeof error?.code === "string") reject(error);
      else resolve({ exitCode: error === null ? 0 : (error.code ?? 128), stdout, stderr });
    });
    child.stdin?.on("error", () => undefined); // The program need not read it.
    child.stdin?.end(own.input ?? "");
  });
}

/** Path of one of Pgpool-II's own programs. */
export function oracle(name: string): string {
  const path = join(ORACLE_DIRECTORY, name);
  if (existsSync(path)) return path;
  throw new Error(`${path} is missing: this test compares with it; run "apt-get install pgpool2"`);
}

/** An empty directory for a test, readable by nobody else; remove it in the end. */
export async function testDirectory(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "pgquorum-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/**
 * The same below the project, for programs that load packages when they run: Node looks for those
 * in the folders above a program.
 */
export async function programDirectory(): Promise<{
  readonly path: string;
  remove(): Promise<void>;
}> {
  await mkdir(join(ROOT, ".build"), { recursive: true });
  const path = await mkdtemp(join(ROOT, ".build/test-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/**
 * Builds programs of `src/cli` into a directory of their own, with their wrappers beside, so that
 * a test neither needs nor disturbs `dist/`.
 *
 * @param programs names of files in src/cli, and other entries by name.
 * @param wrappers names of files in bin/.
 */
export async function buildPrograms(
  directory: string,
  programs: Readonly<Record<string, string>>,
  wrappers: readonly string[],
): Promise<void> {
  await build({
    absWorkingDir: ROOT,
    entryPoints: { ...programs },
    outdir: join(directory, "dist"),
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external: ["libpg-query", "pg-native"],
    banner: {
      js: 'import { createRequire as r } from "node:module"; const require = r(import.meta.url);',
    },
    outExtension: { ".js": ".mjs" },
    logLevel: "warning",
  });
  await mkdir(join(directory, "bin"), { recursive: true });
  for (const name of wrappers) {
    const path = join(directory, "bin", name);
    await copyFile(join(ROOT, "bin", name), path);
    await chmod(path, 0o755);
  }
}
