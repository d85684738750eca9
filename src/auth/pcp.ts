/** pcp.conf, and the challenge that an admin client answers. */
import { Secret } from "../base/index.ts";
import { equalInConstantTime, md5Hex } from "./md5.ts";
import type { AuthFinding } from "./types.ts";

/** md5hex(password): what pcp.conf holds and `pg_md5` prints. */
export function pcpStoredHash(password: Secret): Secret {
  return new Secret(md5Hex(password.reveal()));
}

/**
 * 32 lower case hex digits, without a prefix: md5hex(md5hex(stored || user) || salt).
 *
 * @param stored as `pcpStoredHash` makes it.
 * @param salt the 4 bytes of the `m` message, used once.
 */
export function pcpMd5Response(stored: Secret, user: string, salt: Uint8Array): string {
  return md5Hex(md5Hex(stored.reveal(), user), salt);
}

/**
 * `user:md5hex` a line. A user may have several lines: any of them opens the door, as in
 * Pgpool-II. Lines that cannot be read are reported and left out.
 */
export function parsePcpConf(
  text: string,
  file = "pcp.conf",
): {
  readonly users: ReadonlyMap<string, readonly Secret[]>;
  readonly findings: readonly AuthFinding[];
} {
  const users = new Map<string, Secret[]>();
  const findings: AuthFinding[] = [];
  for (const [index, content] of text.split(/\r?\n/).entries()) {
    if (content.trim() !== "" && !content.startsWith("#")) {
      const match = /^([^:]{1,127}):([0-9a-fA-F]{32})\s*$/.exec(content);
      const [, user, hash] = match ?? [];
      if (user === undefined || hash === undefined) {
        findings.push({
          level: "warning",
          file,
          line: index + 1,
          message: "the line is not of the form user:md5",
          hint: "The second part is what pg_md5 prints for the password, 32 hex digits.",
        });
      } else users.set(user, [...(users.get(user) ?? []), new Secret(hash.toLowerCase())]);
    }
  }
  return { users, findings };
}

/** Does the same work for an unknown user, so that the time does not tell who exists. */
export function verifyPcp(
  users: ReadonlyMap<string, readonly Secret[]>,
  user: string,
  response: string,
  salt: Uint8Array,
): boolean {
  const known = users.get(user);
  const hashes = known ?? [new Secret("0".repeat(32))];
  let matches = false;
  for (const stored of hashes) {
    if (equalInConstantTime(pcpMd5Response(stored, user, salt), response)) matches = true;
  }
  return matches && known !== undefined;
}
