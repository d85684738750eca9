import { isHostName, type Config } from "../../../config/index.ts";

/** How the trusted servers are tested. */
export interface TrustedServers {
  readonly hosts: readonly string[];
  /** For the shell; `%h` is the host. */
  readonly command: string;
}

/**
 * A configuration from before trusted_server_command may name the directory of `ping` instead.
 * Source: Pgpool-II 4.3, `ping_path`; 4.4, `trusted_server_command`.
 */
export function trustedServersOf(
  config: Pick<Config, "trusted_servers" | "trusted_server_command" | "ping_path" | "set">,
): TrustedServers {
  const hosts = config.trusted_servers.split(",").map((host) => host.trim());
  const isOlder = config.set.has("ping_path") && !config.set.has("trusted_server_command");
  const ping = `'${config.ping_path.replaceAll("'", "'\\''")}/ping' -q -c3 %h`;
  return {
    hosts: hosts.filter((host) => host !== ""),
    command: isOlder ? ping : config.trusted_server_command,
  };
}

/** Null for a host that is none: a shell never sees what could be more than a name. */
export function testCommand(command: string, host: string): string | null {
  return isHostName(host) ? command.replaceAll("%h", host) : null;
}
