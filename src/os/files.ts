/**
 * Files as values: what the world refuses comes back as the text of the error, never as an
 * exception.
 */
import { randomBytes } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { open, rename, unlink, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { getSystemErrorMap } from "node:util";
import { fail, succeed, type Result } from "../base/index.ts";

/** No file that we read whole (configuration, status, passwords) comes near to this. */
export const FILE_BYTES_MAX = 16 * 1024 * 1024;

/**
 * The whole file as UTF-8 text.
 *
 * Errors: what the system says (`No such file or directory`), or that the file is too long.
 */
export function readTextFile(path: string): Result<string, string> {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    return fail(systemErrorText(error));
  }
  try {
    if (fstatSync(fd).isDirectory()) return fail("Is a directory");
    return readBounded(fd);
  } catch (error) {
    return fail(systemErrorText(error));
  } finally {
    closeSync(fd);
  }
}

/** Reads until the end, not to the size that `stat` tells: pipes and /proc tell none. */
function readBounded(fd: number): Result<string, string> {
  const chunks: Buffer[] = [];
  let totalBytes = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(64 * 1024);
    const lengthBytes = readSync(fd, chunk, 0, chunk.length, null);
    if (lengthBytes === 0) break;
    totalBytes += lengthBytes;
    if (totalBytes > FILE_BYTES_MAX) return fail(`longer than ${FILE_BYTES_MAX} bytes`);
    chunks.push(chunk.subarray(0, lengthBytes));
  }
  return succeed(Buffer.concat(chunks).toString("utf8"));
}

/**
 * Replaces the file as a whole: after a crash it has either the old or the new content. When the
 * promise has succeeded, the new content survives a power loss (file and directory are synced).
 * Two writes of one path at the same time: one of them wins whole.
 *
 * @param mode permission bits of the new file; 0600 unless told.
 */
export async function writeFileDurably(
  path: string,
  bytes: Uint8Array | string,
  mode = 0o600,
): Promise<Result<void, string>> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "wx", mode);
    await withClose(file, async () => {
      await file.writeFile(bytes);
      await file.sync();
    });
    await rename(temporary, path);
    const directory = await open(dirname(path), "r");
    await withClose(directory, () => directory.sync());
    return succeed(undefined);
  } catch (error) {
    // Already renamed, or never made: then there is nothing to remove.
    await unlink(temporary).catch(() => undefined);
    return fail(systemErrorText(error));
  }
}

async function withClose(file: FileHandle, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    await file.close();
  }
}

/** What `strerror` would say of an error that Node throws: `No such file or directory`. */
export function systemErrorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { errno } = error as NodeJS.ErrnoException;
  const text = errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1];
  if (text === undefined) return error.message;
  return text.charAt(0).toUpperCase() + text.slice(1);
}
