/**
 * A lock that ends with its holder, however that ends: the kernel's `flock`, taken by the
 * program of that name on a descriptor that it shares with us. So there is no stale lock to
 * judge and no reused process id to be fooled by. The file's text (the holder's process id)
 * serves the error message alone.
 */
import { spawn } from "node:child_process";
import { open, stat, unlink, type FileHandle } from "node:fs/promises";
import { fail, succeed, type Result } from "../base/index.ts";
import { systemErrorText } from "./files.ts";

export interface FileLock {
  /** Lets go and removes the file. */
  release(): Promise<void>;
}

export interface LockRefusal {
  /** The process that holds the lock, as it wrote itself; null when the lock is not the reason. */
  readonly heldByPid: number | null;
  readonly message: string;
}

/** Exit status that we ask `flock` to give when another holds the lock. */
const HELD_STATUS = 75;
/** A holder that leaves removes the file; whoever waited for that inode has to look again. */
const ATTEMPTS_MAX = 10;

/**
 * Holds `path` until `release` or the end of this process. Never waits for another holder.
 * Children do not inherit the lock.
 */
export async function lockFile(path: string): Promise<Result<FileLock, LockRefusal>> {
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const file = await open(path, "a+", 0o644);
      const outcome = await lockOpened(path, file);
      if (outcome !== "replaced") return outcome;
    }
  } catch (error) {
    return fail({ heldByPid: null, message: systemErrorText(error) });
  }
  return fail({ heldByPid: null, message: "the file keeps being replaced" });
}

async function lockOpened(
  path: string,
  file: FileHandle,
): Promise<Result<FileLock, LockRefusal> | "replaced"> {
  const outcome = await runFlock(file.fd);
  if (outcome !== "locked") {
    const heldByPid = outcome === "held" ? await readPid(file) : null;
    await file.close();
    const message =
      outcome === "held"
        ? `held by process ${heldByPid ?? "of unknown id"}`
        : `cannot run "flock" of util-linux: ${outcome.message}`;
    return fail({ heldByPid, message });
  }
  // The holder before us may have removed the file between our open and our lock.
  const ours = await file.stat();
  const theirs = await stat(path).catch(() => null);
  if (theirs === null || theirs.ino !== ours.ino || theirs.dev !== ours.dev) {
    await file.close();
    return "replaced";
  }
  await file.truncate(0);
  await file.write(`${process.pid}\n`, 0);
  return succeed({
    async release(): Promise<void> {
      // Removed while still locked: nobody can hold the inode that we remove.
      await unlink(path).catch(() => undefined);
      await file.close();
    },
  });
}

/** `flock` locks the open file that it inherits as descriptor 3; the lock stays ours after it ends. */
function runFlock(fd: number): Promise<"locked" | "held" | { readonly message: string }> {
  return new Promise((resolve) => {
    const child = spawn("flock", ["-n", "-x", "-E", String(HELD_STATUS), "3"], {
      stdio: ["ignore", "ignore", "ignore", fd],
    });
    child.on("error", (error) => resolve({ message: systemErrorText(error) }));
    child.on("exit", (code, signal) => {
      if (code === 0) resolve("locked");
      else if (code === HELD_STATUS) resolve("held");
      else resolve({ message: `it ended with ${signal ?? `status ${code}`}` });
    });
  });
}

async function readPid(file: FileHandle): Promise<number | null> {
  const bytes = Buffer.alloc(32);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
  const pid = Number.parseInt(bytes.toString("latin1", 0, bytesRead), 10);
  return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
}
