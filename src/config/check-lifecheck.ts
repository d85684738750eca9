import { isHostName } from "./addresses.ts";
import type { Config } from "./config.ts";
import { finding } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { placeOf } from "./settings.ts";
import type { Settings } from "./settings.ts";

/** How a node finds out about the others and about its own network: only with use_watchdog. */
export function checkLifecheck(config: Config, settings: Settings): readonly Finding[] {
  return [...checkQuery(config, settings), ...checkTrusted(config, settings)];
}

function checkQuery(config: Config, settings: Settings): readonly Finding[] {
  if (config.wd_lifecheck_method !== "query") return [];
  const findings: Finding[] = [];
  for (const name of ["wd_lifecheck_user", "wd_lifecheck_dbname", "wd_lifecheck_query"] as const) {
    if (config[name] !== "") continue;
    const place = placeOf(config, settings, name, "wd_lifecheck_method");
    const message = `wd_lifecheck_method is query, but ${name} is empty`;
    const hint = `set ${name}: each node logs in to all of them with it`;
    findings.push(finding("error", place, message, hint));
  }
  return findings;
}

function checkTrusted(config: Config, settings: Settings): readonly Finding[] {
  const hosts = config.trusted_servers.split(",").map((host) => host.trim());
  const place = placeOf(config, settings, "trusted_servers");
  const findings = hosts
    .filter((host) => host !== "" && !isHostName(host))
    .map((host) => {
      const message = `"${host}" in trusted_servers is no host name and no address`;
      return finding("error", place, message, "separate the hosts with commas");
    });
  if (config.trusted_servers === "" || config.trusted_server_command.includes("%h")) {
    return findings;
  }
  const message = "trusted_server_command has no %h, so it tests the same thing for every host";
  const where = placeOf(config, settings, "trusted_server_command");
  return [...findings, finding("warning", where, message, "write %h where the host belongs")];
}
