/** Whether the program that a command of the configuration begins with can be started at all. */
import { accessSync, constants, statSync } from "node:fs";
import { systemErrorText } from "./files.ts";

/** An absolute path in plain letters; what a shell would read in another way is not judged. */
const PLAIN_PATH = /^\s*(\/[\w@%+=:,./-]*)(?:\s|$)/u;

/**
 * What keeps it from being started by this user, such as `/opt/failover.sh: Permission denied`.
 * Null when nothing does, or when that cannot be told from the text.
 */
export function programProblem(command: string): string | null {
  const path = PLAIN_PATH.exec(command)?.[1];
  if (path === undefined || path.includes("%")) return null;
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isDirectory() ? `${path}: Is a directory` : null;
  } catch (error) {
    return `${path}: ${systemErrorText(error)}`;
  }
}
