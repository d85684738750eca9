import type { PcpError } from "../../wire/pcp/index.ts";
import { pcpError } from "../../wire/pcp/index.ts";

const MESSAGE_LEVELS: ReadonlySet<string> = new Set([
  "debug5",
  "debug4",
  "debug3",
  "debug2",
  "debug1",
  "log",
  "commerror",
  "info",
  "notice",
  "warning",
  "error",
]);

/**
 * Whether a client may set this for its connection: only `client_min_messages`, as in Pgpool-II.
 * Nothing below ERROR is ever sent to an admin client, so a valid level changes nothing.
 */
export function checkParameter(name: string, value: string): PcpError | null {
  const message = "PCP: set configuration parameter failed";
  if (name !== "client_min_messages") {
    return pcpError("ERROR", message, `invalid parameter "${name}"`);
  }
  if (MESSAGE_LEVELS.has(value.toLowerCase())) return null;
  return pcpError("ERROR", message, `invalid value "${value}" for parameter "${name}"`);
}
