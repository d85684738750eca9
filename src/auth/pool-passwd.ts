/**
 * pool_passwd: `user:secret` or `user:secret:backend user:backend secret`, a line each. The first
 * line of a user counts.
 */
import { Secret } from "../base/index.ts";
import type { AuthFinding, PoolPasswdEntry, PoolSecret } from "./types.ts";

/** Longer fields are of no use to Pgpool-II either; a secret may be a whole SCRAM verifier. */
const USER_CHARS_MAX = 128;
const SECRET_CHARS_MAX = 512;

/** Lines that cannot be read are left out and reported: that user then cannot come in. */
export function parsePoolPasswd(
  text: string,
  file = "pool_passwd",
): {
  readonly users: ReadonlyMap<string, PoolPasswdEntry>;
  readonly findings: readonly AuthFinding[];
} {
  const users = new Map<string, PoolPasswdEntry>();
  const findings: AuthFinding[] = [];
  for (const [index, content] of text.split(/\r?\n/).entries()) {
    const line = index + 1;
    if (content !== "" && !content.startsWith("#")) {
      const entry = parseEntry(content, line);
      if (typeof entry === "string") {
        findings.push({ level: "warning", file, line, message: entry, hint: FORM });
      } else if (!users.has(entry.user)) users.set(entry.user, entry);
    }
  }
  return { users, findings };
}

const FORM = "The form is user:secret; pg_md5 -m and pg_enc -m write such lines.";

/** Never quotes the line: it may hold a password. */
function parseEntry(content: string, line: number): PoolPasswdEntry | string {
  const [user, secret, backendUser, backendSecret] = splitEscaped(content);
  if (user === undefined || user === "") return "the line has no user name";
  if (secret === undefined) return "the line has no colon after the user name";
  if (user.length > USER_CHARS_MAX || secret.length > SECRET_CHARS_MAX) {
    return `the line is too long: at most ${USER_CHARS_MAX} characters for the user and ${SECRET_CHARS_MAX} for the secret`;
  }
  const hasBackend = backendUser !== undefined && backendUser !== "" && backendSecret !== undefined;
  return {
    line,
    user,
    secret: secretOf(secret),
    backend: hasBackend ? { user: backendUser, secret: secretOf(backendSecret) } : null,
  };
}

/** A SCRAM verifier has a colon of its own, between its salt and its keys and within them. */
function splitEscaped(content: string): string[] {
  const fields = [""];
  for (let position = 0; position < content.length; position++) {
    const char = content.charAt(position);
    const last = fields.length - 1;
    if (char === "\\" && position + 1 < content.length) {
      fields[last] += content.charAt(++position);
    } else if (char === ":" && last < 3 && !isInsideVerifier(fields[last] ?? "")) fields.push("");
    else fields[last] += char;
  }
  return fields;
}

function isInsideVerifier(field: string): boolean {
  return /^SCRAM-SHA-256\$(\d+|\d+:[^$]*\$[^:]*)$/.test(field);
}

function secretOf(text: string): PoolSecret {
  if (/^md5[0-9a-fA-F]{32}$/.test(text)) {
    return { kind: "md5", secret: new Secret(text.toLowerCase()) };
  }
  if (text.startsWith("AES")) return { kind: "aes", secret: new Secret(text.slice(3)) };
  if (text.startsWith("SCRAM-SHA-256$")) return { kind: "scram", secret: new Secret(text) };
  return { kind: "text", secret: new Secret(text.startsWith("TEXT") ? text.slice(4) : text) };
}
