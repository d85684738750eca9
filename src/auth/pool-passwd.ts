import type { AuthFinding, PoolPasswdEntry } from "./types.ts";
export function parsePoolPasswd(
  _text: string,
  _file = "pool_passwd",
): {
  readonly users: ReadonlyMap<string, PoolPasswdEntry>;
  readonly findings: readonly AuthFinding[];
} {
  throw new Error("not built");
}
