import type { Secret } from "../base/index.ts";
import type { AuthFinding } from "./types.ts";
/** md5hex(password): what pcp.conf holds. */
export function pcpStoredHash(_password: Secret): Secret {
  throw new Error("not built");
}
/** 32 hex digits: md5hex(md5hex(stored || user) || salt). */
export function pcpMd5Response(_stored: Secret, _user: string, _salt: Uint8Array): string {
  throw new Error("not built");
}
export function parsePcpConf(
  _text: string,
  _file = "pcp.conf",
): {
  readonly users: ReadonlyMap<string, readonly Secret[]>;
  readonly findings: readonly AuthFinding[];
} {
  throw new Error("not built");
}
export function verifyPcp(
  _users: ReadonlyMap<string, readonly Secret[]>,
  _user: string,
  _response: string,
  _salt: Uint8Array,
): boolean {
  throw new Error("not built");
}
