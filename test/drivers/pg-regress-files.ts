/** What PostgreSQL's regression tests need: statements, a library of C functions, a place to write. */
import { execFile } from "node:child_process";
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  writeFile,
} from "node:fs/promises";
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { programPath } from "../support/postgres.ts";

const run = promisify(execFile);
const HEADERS = "usr/include/postgresql/15/server";

export interface RegressFiles {
  readonly directory: string;
  /** The program pg_regress. */
  readonly program: string;
  /** `src/test/regress` of the sources. */
  readonly sources: string;
  /** Where regress.so is. */
  readonly libraries: string;
  /** Lets the user of the servers write there. */
  give(path: string): Promise<void>;
  remove(): Promise<void>;
}

/**
 * @param sources a tree of PostgreSQL's sources; null fetches the source package of the server's
 *   release, by apt-get with lists of its own, so that the machine's stay as they are.
 */
export async function prepareRegress(sources: string | null): Promise<RegressFiles> {
  const directory = await mkdtemp("/tmp/pgquorum-regress-");
  const give = async (path: string): Promise<void> => {
    if (process.getuid?.() === 0) await run("chown", ["-R", "postgres", path]);
  };
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    await chmod(directory, 0o755);
    const program = join(dirname(programPath("")), "lib/pgxs/src/test/regress/pg_regress");
    if (!existsSync(program)) throw new Error(`${program} is missing`);
    const fetched = await fetchPackages(directory, sources === null);
    const tree = sources ?? fetched.tree ?? "";
    const regress = join(directory, "regress");
    await cp(join(tree, "src/test/regress"), regress, { recursive: true });
    const libraries = join(directory, "lib");
    await mkdir(libraries);
    const library = ["-O1", "-fPIC", "-shared", "-w", "-I", fetched.headers];
    await run("gcc", [...library, "-o", join(libraries, "regress.so"), join(regress, "regress.c")]);
    for (const name of ["autoinc.so", "refint.so"]) {
      await copyFile(join(dirname(programPath("")), "lib", name), join(libraries, name));
    }
    await give(directory);
    return { directory, program, sources: regress, libraries, give, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** The sources when they are wanted, and the headers that belong to the server's release. */
async function fetchPackages(
  directory: string,
  wantsSources: boolean,
): Promise<{ readonly tree: string | null; readonly headers: string }> {
  const apt = await privateApt(directory);
  const { stdout } = await run("dpkg-query", ["-W", "-f", "${Version}", "postgresql-15"]);
  const version = stdout.trim();
  const at = { cwd: directory, maxBuffer: 16 * 1024 * 1024 };
  await run("apt-get", [...apt, "download", `postgresql-server-dev-15=${version}`], at);
  const deb = (await readdir(directory)).find((name) => name.endsWith(".deb")) ?? "";
  await run("dpkg", ["-x", deb, "dev"], at);
  const headers = join(directory, "dev", HEADERS);
  if (!wantsSources) return { tree: null, headers };
  const source = ["source", "--download-only", `postgresql-15=${version}`];
  await run("apt-get", [...apt, ...source], at);
  const archive = (await readdir(directory)).find((name) => name.includes(".orig.tar")) ?? "";
  await mkdir(join(directory, "tree"));
  const cut = ["--strip-components=1", "--wildcards", "*/src/test/regress"];
  await run("tar", ["-xf", archive, "-C", "tree", ...cut], at);
  return { tree: join(directory, "tree"), headers };
}

async function privateApt(directory: string): Promise<string[]> {
  const apt = join(directory, "apt");
  await mkdir(join(apt, "lists/partial"), { recursive: true });
  await mkdir(join(apt, "cache/archives/partial"), { recursive: true });
  const parts = join(apt, "parts");
  await mkdir(parts);
  await copySources(parts);
  const options = [
    "Dir::Etc::sourcelist=/dev/null",
    `Dir::Etc::sourceparts=${parts}`,
    `Dir::State::lists=${join(apt, "lists")}`,
    `Dir::Cache=${join(apt, "cache")}`,
    "APT::Sandbox::User=root",
  ].flatMap((option) => ["-o", option]);
  await run("apt-get", [...options, "update", "-q"], { maxBuffer: 16 * 1024 * 1024 });
  return options;
}

/** The machine's own sources of packages, with those of source packages beside them. */
async function copySources(parts: string): Promise<void> {
  const directory = "/etc/apt/sources.list.d";
  const more = existsSync(directory) ? await readdir(directory) : [];
  for (const file of ["/etc/apt/sources.list", ...more.map((name) => join(directory, name))]) {
    if (!/\.(?:list|sources)$/.test(file) || !existsSync(file)) continue;
    const text = await readFile(file, "utf8");
    const withSources = file.endsWith(".sources")
      ? text.replace(/^Types:.*$/gm, "Types: deb deb-src")
      : text.replace(/^deb (.*)$/gm, "deb $1\ndeb-src $1");
    await writeFile(join(parts, basename(file)), withSources);
  }
}
