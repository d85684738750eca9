/** The drivers: what each needs to be there, and how its program is started. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { programPath } from "../support/postgres.ts";
import type { Command } from "./program-run.ts";

export interface Driver {
  readonly about: string;
  /** Null when it can be run, else what is missing. */
  missing(): string | null;
  /** Makes what is started, in a directory of this run. */
  prepare(directory: string): Command;
}

/** The programs lie here, whether this module was bundled or not: tests run from the root. */
const PROGRAMS = join(process.cwd(), "test/drivers/programs");

const JDBC = "/usr/share/java/postgresql.jar";
/** Debian's packages of Go bring sources, and lie where Go looked before it had modules. */
const GO_PATH = "/usr/share/gocode";

export const DRIVERS: Readonly<Record<string, Driver>> = {
  "node-postgres": {
    about: "pg, the usual driver of Node.js",
    missing: () => null,
    prepare: () => script(process.execPath, "node-postgres.mjs"),
  },
  "postgres.js": {
    about: "sends requests without waiting for answers",
    missing: () => missingFile(join(process.cwd(), "node_modules/postgres/package.json")),
    prepare: () => script(process.execPath, "postgres-js.mjs"),
  },
  psql: {
    about: "libpq: PostgreSQL's own client",
    missing: () => missingFile(programPath("psql")),
    prepare: () => withPostgres(script("/bin/bash", "psql.sh")),
  },
  pgbench: {
    about: "libpq: simple, extended and prepared, many clients, pipelines",
    missing: () => missingFile(programPath("pgbench")),
    prepare: () => withPostgres(script("/bin/bash", "pgbench.sh")),
  },
  psycopg2: {
    about: "Python, over libpq, whole texts",
    missing: () => missingModule("psycopg2"),
    prepare: () => python("psycopg2_shows.py"),
  },
  psycopg3: {
    about: "Python, over libpq, with its pipelines",
    missing: () => missingModule("psycopg"),
    prepare: () => python("psycopg3_shows.py"),
  },
  pgjdbc: {
    about: "Java, its own protocol code: batches, server-prepared statements, function calls",
    missing: () => missingFile(JDBC) ?? missingProgram("javac"),
    prepare: (directory) => {
      build("javac", ["-cp", JDBC, "-d", directory, join(PROGRAMS, "JdbcShows.java")]);
      return { program: "java", args: ["-Xmx256m", "-cp", `${JDBC}:${directory}`, "JdbcShows"] };
    },
  },
  "lib/pq": {
    about: "Go, its own protocol code, one statement at a time",
    missing: () => missingGo("github.com/lib/pq"),
    prepare: (directory) => go(directory, "pq_shows.go"),
  },
  pgx: {
    about: "Go, its own protocol code, statements prepared by themselves, batches",
    missing: () => missingGo("github.com/jackc/pgx/v4"),
    prepare: (directory) => go(directory, "pgx_shows.go"),
  },
};

export const driverNames = Object.keys(DRIVERS);

function script(program: string, name: string): Command {
  return { program, args: [join(PROGRAMS, name)] };
}

function go(directory: string, name: string): Command {
  const program = join(directory, name.replace(".go", ""));
  const sources = ["show.go", name].map((file) => join(PROGRAMS, file));
  const env = { GO111MODULE: "off", GOPATH: GO_PATH, GOCACHE: join(directory, "go-cache") };
  build("go", ["build", "-o", program, ...sources], { ...env, GOFLAGS: "", CGO_ENABLED: "0" });
  return { program, args: [] };
}

function missingGo(name: string): string | null {
  return missingFile(join(GO_PATH, "src", name)) ?? missingProgram("go");
}

function build(program: string, args: readonly string[], env: Record<string, string> = {}): void {
  execFileSync(program, args, { env: { ...process.env, ...env }, stdio: ["ignore", 2, 2] });
}

/** Debian's packages belong to Debian's Python, whatever else is in the PATH. */
function python(name: string): Command {
  return { ...script("/usr/bin/python3", name), env: { PYTHONDONTWRITEBYTECODE: "1" } };
}

function missingModule(name: string): string | null {
  return missingFile(`/usr/lib/python3/dist-packages/${name}`);
}

/** PostgreSQL's programs without Debian's wrappers, which look for a cluster first. */
function withPostgres(command: Command): Command {
  const path = `${dirname(programPath("psql"))}:${process.env["PATH"] ?? "/usr/bin:/bin"}`;
  return { ...command, env: { PATH: path, PSQLRC: "/dev/null", LC_ALL: "C.UTF-8" } };
}

function missingProgram(name: string): string | null {
  const directories = (process.env["PATH"] ?? "/usr/bin").split(":");
  const isThere = directories.some((directory) => existsSync(join(directory, name)));
  return isThere ? null : `the program ${name} is missing`;
}

function missingFile(path: string): string | null {
  return existsSync(path) ? null : `${path} is missing`;
}
