import { statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Secret } from "../../base/index.ts";
import { readTextFile } from "../../os/index.ts";

export interface PasswordKey {
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

/** Where a socket is looked for when no host is given; its entries are those of `localhost`. */
export const DEFAULT_SOCKET_DIRECTORY = "/tmp";

/**
 * The password that `$PCPPASSFILE` or `~/.pcppass` holds, or null. A file that others may read is
 * not used, and `warn` is told so.
 */
export function lookUpPassword(key: PasswordKey, warn: (text: string) => void): Secret | null {
  const path = process.env["PCPPASSFILE"] ?? join(homedir(), ".pcppass");
  const problem = problemOfFile(path);
  if (problem === "missing") return null;
  if (problem !== null) {
    warn(`WARNING: password file "${path}" ${problem}`);
    return null;
  }
  const text = readTextFile(path);
  return text.ok ? findPassword(text.value, key) : null;
}

function problemOfFile(path: string): string | null {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return "missing";
  if (!found.isFile()) return "is not a plain file";
  if ((found.mode & 0o077) === 0) return null;
  return "has group or world access; permissions should be u=rw (0600) or less";
}

/** The first line `host:port:user:password` that fits; `*` fits all, a backslash escapes. */
export function findPassword(text: string, key: PasswordKey): Secret | null {
  const isLocal = key.host === "" || key.host === DEFAULT_SOCKET_DIRECTORY;
  const wanted = [isLocal ? "localhost" : key.host, String(key.port), key.user];
  for (const line of text.split(/\r?\n/)) {
    const fields = splitLine(line);
    if (fields === null) continue;
    const [names, password] = fields;
    if (wanted.every((value, at) => names[at] === null || names[at] === value)) {
      return new Secret(password);
    }
  }
  return null;
}

/** Three names (null for `*`) and the password; null for a line that is none. */
function splitLine(line: string): [readonly (string | null)[], string] | null {
  if (line.startsWith("#")) return null;
  const fields = line.match(/(?:\\.|[^\\:])*(?::|$)/g);
  if (fields === null || fields.length < 4) return null;
  const names = fields.slice(0, 3).map((field) => field.replace(/:$/, ""));
  const password = line.slice(fields.slice(0, 3).join("").length);
  return [names.map((name) => (name === "*" ? null : unescape(name))), unescape(password)];
}

function unescape(text: string): string {
  return text.replaceAll(/\\(.)/g, "$1");
}
