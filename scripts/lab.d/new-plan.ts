import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { LabFailure } from "./failure.ts";
import type { LabPlan } from "./layout.ts";

/** The plan of a lab that is to be made, with what this machine and this checkout have. */
export function newPlan(wanted: Omit<LabPlan, "postgresBin" | "repository">): LabPlan {
  if (wanted.isDatabaseApart && wanted.mode === "loopback") {
    throw new LabFailure("the loopback has no host for a database", "Leave --database-apart out.");
  }
  // Programs are built into a folder of the checkout, wherever the sources are.
  const repository = dirname(dirname(fileURLToPath(import.meta.url)));
  return { ...wanted, postgresBin: findPostgresBin(), repository };
}

/** The newest PostgreSQL that is installed, as Debian lays it out. */
function findPostgresBin(): string {
  const base = "/usr/lib/postgresql";
  const versions = existsSync(base) ? readdirSync(base).map(Number) : [];
  const [newest] = versions
    .filter((version) => existsSync(join(base, String(version), "bin", "initdb")))
    .sort((left, right) => right - left);
  if (newest !== undefined) return join(base, String(newest), "bin");
  throw new LabFailure(
    `no PostgreSQL server is installed in ${base}`,
    "apt-get install postgresql",
  );
}
