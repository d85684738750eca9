/**
 * The lab's directory and what it remembers. Nothing is ever removed that does not carry the
 * mark of a lab: the file lab.json.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { randomBytes } from "node:crypto";
import { join, resolve } from "node:path";
import type { Secrets } from "./config-texts.ts";
import { LabFailure } from "./failure.ts";
import { everyHost, files, type Host, type LabMode, type LabPlan } from "./layout.ts";
import { socketDirectory } from "./config-texts.ts";
import { chownToPostgres } from "./postgres.ts";
import { processInfo } from "./processes.ts";
import { tryRun } from "./shell.ts";

/** Longer, and a Unix socket below it would have too long a name. */
const DIRECTORY_LENGTH_MAX = 70;

export function labDirectory(mode: LabMode): string {
  const own = process.env["PGQ_LAB_DIR"];
  const usual =
    mode === "loopback"
      ? `/var/tmp/pgquorum-loopback-${process.getuid?.()}`
      : "/var/tmp/pgquorum-lab";
  const directory = resolve(own === undefined || own === "" ? usual : own);
  if (!/^(\/[A-Za-z0-9._-]+)+$/.test(directory) || directory.length > DIRECTORY_LENGTH_MAX) {
    throw new LabFailure(
      `PGQ_LAB_DIR cannot be ${directory}`,
      `Use a path of at most ${DIRECTORY_LENGTH_MAX} letters, digits, dots, dashes and underscores.`,
      2,
    );
  }
  return directory;
}

/** The plan of the lab that is up (or half up) in the directory, or null. */
export function readPlan(directory: string): LabPlan | null {
  try {
    return JSON.parse(readFileSync(files.plan(directory), "utf8")) as LabPlan;
  } catch {
    return null;
  }
}

export function needPlan(directory: string): LabPlan {
  const plan = readPlan(directory);
  if (plan === null) {
    throw new LabFailure(`no lab is up in ${directory}`, "`scripts/lab up` makes one.");
  }
  return plan;
}

export async function makeDirectories(plan: LabPlan): Promise<void> {
  const { directory } = plan;
  if (existsSync(directory) && readPlan(directory) === null && readdirSync(directory).length > 0) {
    throw new LabFailure(
      `${directory} holds something that is no lab`,
      "Name another directory by PGQ_LAB_DIR; nothing was touched.",
    );
  }
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  chmodSync(directory, 0o755);
  writeFileSync(files.plan(directory), `${JSON.stringify(plan, null, 2)}\n`);
  for (const host of everyHost(plan)) await makeHostDirectories(host);
  writeFileSync(files.failoverHistory(directory), "", { flag: "a" });
  await mustBeReachable(directory);
}

async function makeHostDirectories(host: Host): Promise<void> {
  const made = [host.directory, host.etc, host.log, host.run, join(host.directory, "work")];
  for (const path of made) mkdirSync(path, { recursive: true, mode: 0o755 });
  mkdirSync(socketDirectory(host), { recursive: true, mode: 0o700 });
  // The node's sockets are for root alone, the server's for postgres alone.
  chmodSync(host.run, 0o700);
  const log = files.postgresLog(host);
  writeFileSync(log, "", { flag: "a", mode: 0o640 });
  await chownToPostgres(host.directory, socketDirectory(host), log);
}

/** PostgreSQL runs as another user, which must be able to walk down to its data. */
async function mustBeReachable(directory: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"];
  const ran = await tryRun([...words, "test", "-x", directory]);
  if (ran.code === 0) return;
  throw new LabFailure(
    `the user postgres cannot enter ${directory}`,
    "Name a directory that everybody may enter by PGQ_LAB_DIR.",
  );
}

/** Made once for each lab, so that a second `up` starts nodes that the first ones accept. */
export function labSecrets(directory: string): Secrets {
  const path = join(directory, "secrets.json");
  if (!existsSync(path)) {
    const secrets: Secrets = {
      authkey: randomBytes(24).toString("hex"),
      password: randomBytes(16).toString("hex"),
    };
    writeFileSync(path, JSON.stringify(secrets), { mode: 0o600 });
  }
  return JSON.parse(readFileSync(path, "utf8")) as Secrets;
}

/** libpq takes no file that others may read, and asks nobody who owns it. */
export async function writePgpass(plan: LabPlan, secrets: Secrets): Promise<void> {
  const path = files.pgpass(plan.directory);
  writeFileSync(path, `127.0.0.1:*:*:*:${secrets.password}\n`, { mode: 0o600 });
  await chownToPostgres(path);
}

/** Removes the directory if it is a lab's. */
export function removeDirectory(directory: string): void {
  if (!existsSync(directory)) return;
  const isLab = existsSync(files.plan(directory));
  if (!isLab && readdirSync(directory).length > 0) return;
  rmSync(directory, { recursive: true, force: true });
}

/**
 * One `up`, `down` or `demo` at a time. The lock is a file with the owner's process id, so that
 * a lock whose owner has died does not count.
 */
export function takeLock(mode: LabMode): () => void {
  const directory = mode === "loopback" ? "/tmp" : "/run";
  const path = `${directory}/pgquorum-${mode}-${process.getuid?.()}.lock`;
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      const self = processInfo(process.pid);
      writeFileSync(path, `${process.pid} ${self?.startedAt ?? ""}`, { flag: "wx" });
      return () => rmSync(path, { force: true });
    } catch {
      const [pid = "0", startedAt] = readLock(path);
      if (processInfo(Number(pid))?.startedAt === startedAt) {
        throw new LabFailure(
          `another scripts/lab (process ${pid}) is at work`,
          "Wait for its end.",
        );
      }
      rmSync(path, { force: true });
    }
  }
  throw new LabFailure(`the lock ${path} cannot be taken`, "Remove the file.");
}

function readLock(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split(" ");
  } catch {
    return [];
  }
}
