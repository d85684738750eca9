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
};

export const driverNames = Object.keys(DRIVERS);

function script(program: string, name: string): Command {
  return { program, args: [join(PROGRAMS, name)] };
}

/** PostgreSQL's programs without Debian's wrappers, which look for a cluster first. */
function withPostgres(command: Command): Command {
  const path = `${dirname(programPath("psql"))}:${process.env["PATH"] ?? "/usr/bin:/bin"}`;
  return { ...command, env: { PATH: path, PSQLRC: "/dev/null", LC_ALL: "C.UTF-8" } };
}

function missingFile(path: string): string | null {
  return existsSync(path) ? null : `${path} is missing`;
}
