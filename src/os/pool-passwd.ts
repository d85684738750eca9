import { parsePoolPasswd } from "../auth/index.ts";
import type { Secret } from "../base/index.ts";
import type { Config } from "../config/index.ts";
import { readTextFile } from "./files.ts";

/**
 * The password with which this node itself logs in somewhere: the one of the parameter, or, where
 * that is empty, the user's entry in pool_passwd, as in Pgpool-II. Hashes are of no use for this.
 *
 * @param user empty means `postgres`.
 */
export function ownPassword(
  config: { readonly files: Pick<Config["files"], "poolPasswd"> },
  user: string,
  configured: Secret,
): Secret {
  const path = config.files.poolPasswd;
  if (!configured.isEmpty || path === null) return configured;
  const text = readTextFile(path);
  if (!text.ok) return configured;
  const entry = parsePoolPasswd(text.value).users.get(user === "" ? "postgres" : user);
  return entry?.secret.kind === "text" ? entry.secret.secret : configured;
}
