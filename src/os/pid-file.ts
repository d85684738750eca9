/**
 * The pid file: how `pgpool stop`, `pgpool reload` and init scripts find a running node. Its
 * content is Pgpool-II's: the decimal process id and one NUL byte.
 */
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { fail, succeed, type Result } from "../base/index.ts";
import { readTextFile, systemErrorText } from "./files.ts";

/** What a node's main process is called in the process list, and what its command line holds. */
const OWN_NAME = /pgpool|pgquorum|supervisor/;

const PID_MAX = 2 ** 22;

/** Errors: the file cannot be read, or holds no process id; the text names the file. */
export function readPidFile(path: string): Result<number, string> {
  const text = readTextFile(path);
  if (!text.ok) return fail(`could not read pid file as "${path}": ${text.error}`);
  const pid = /^\s*(\d{1,10})[\s\0]*$/.exec(text.value)?.[1];
  if (pid === undefined || Number(pid) < 1 || Number(pid) > PID_MAX) {
    return fail(`the pid file "${path}" holds no process id`);
  }
  return succeed(Number(pid));
}

/**
 * Whether a process with this id lives and, as far as the system shows it, is a pgpool. After a
 * crash and a restart of the machine the number of a stale file may belong to anybody.
 */
export function isPgpoolAlive(pid: number): boolean {
  if (!isAlive(pid)) return false;
  try {
    const name = readFileSync(`/proc/${pid}/cmdline`, "latin1");
    // A process that is just ending shows an empty line: it is no longer in anybody's way.
    return OWN_NAME.test(name);
  } catch {
    return isAlive(pid); // No /proc here: the number is all there is.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, under another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Writes and syncs the file, mode 0600. Errors: what the system says, with the path. */
export function writePidFile(path: string, pid: number): Result<void, string> {
  try {
    const fd = openSync(path, "w", 0o600);
    try {
      fchmodSync(fd, 0o600);
      writeSync(fd, `${pid}\0`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    return succeed(undefined);
  } catch (error) {
    return fail(`could not write the pid file "${path}": ${systemErrorText(error)}`);
  }
}

/** Removes the file when it still names this process; a file of a successor stays. */
export function removePidFile(path: string, pid: number): void {
  const found = readPidFile(path);
  if (!found.ok || found.value !== pid) return;
  try {
    unlinkSync(path);
  } catch {
    // Already gone, or the directory became read-only: the next start ignores a stale file.
  }
}
