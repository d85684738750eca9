/** The file `pgpool_status` in `work_dir`. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readTextFile, writeFileDurably, type Log } from "../../os/index.ts";
import {
  downIdsOf,
  formatStatusText,
  parseStatusText,
  type ClusterState,
} from "../core/status/index.ts";

export function statusFilePath(workDirectory: string): string {
  return join(workDirectory, "pgpool_status");
}

/**
 * The backends that were down when the file was written. A file that cannot be used counts as
 * none, and the log says so.
 */
export function readStatusFile(path: string, log: Log): ReadonlySet<number> {
  if (!existsSync(path)) {
    log.write("log", `Backend status file ${path} does not exist`);
    return new Set();
  }
  const text = readTextFile(path);
  const lines = text.ok ? parseStatusText(text.value) : text;
  if (!lines.ok) {
    log.write("warning", "invalid data in status file, ignoring...", {
      detail: `${path}: ${lines.error}`,
    });
    return new Set();
  }
  const downIds = downIdsOf(lines.value);
  for (const id of downIds) {
    log.write("log", `reading status file: ${id} th backend is set to down status`);
  }
  return downIds;
}

/** Leaves the file as it is when every backend is down. */
export async function writeStatusFile(path: string, state: ClusterState, log: Log): Promise<void> {
  const text = formatStatusText(state);
  if (text === null) {
    log.write("warning", "All the DB nodes are in down status and skip writing status file.");
    return;
  }
  const outcome = await writeFileDurably(path, text, 0o644);
  if (!outcome.ok) {
    log.write("warning", `failed to write status file at: "${path}"`, {
      detail: outcome.error,
      hint: "Make work_dir writable for the user that runs pgpool.",
    });
  }
}
