/** The drivers: what each needs to be there, and how its program is started. */
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
};

export const driverNames = Object.keys(DRIVERS);

function script(program: string, name: string): Command {
  return { program, args: [join(PROGRAMS, name)] };
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

function missingFile(path: string): string | null {
  return existsSync(path) ? null : `${path} is missing`;
}
