import type { Config } from "./config.ts";
import { finding } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { compilePattern } from "./pattern.ts";
import { readRedirects } from "./redirects.ts";
import { readRelationships } from "./relationships.ts";
import { placeOf } from "./settings.ts";
import type { Settings } from "./settings.ts";

/** Values that decide where statements go, and cannot work. */
export function checkRouting(config: Config, settings: Settings): readonly Finding[] {
  return [
    ...checkPatterns(config, settings),
    ...checkRedirects(config, settings),
    ...checkRelationships(config, settings),
    ...checkDelays(config, settings),
  ];
}

const PATTERN_LISTS = [
  "read_only_function_list",
  "write_function_list",
  "primary_routing_query_pattern_list",
] as const;

function checkPatterns(config: Config, settings: Settings): readonly Finding[] {
  return PATTERN_LISTS.flatMap((name) =>
    config[name].flatMap((pattern) => {
      const compiled = compilePattern(pattern);
      if (compiled.ok) return [];
      const message = `"${pattern}" in ${name} is no regular expression: ${compiled.error}`;
      const hint = "a backslash before a character makes it stand for itself";
      return [finding("error", placeOf(config, settings, name), message, hint)];
    }),
  );
}

const REDIRECT_LISTS = [
  "user_redirect_preference_list",
  "database_redirect_preference_list",
  "app_name_redirect_preference_list",
] as const;

function checkRedirects(config: Config, settings: Settings): readonly Finding[] {
  const known = new Set(config.backends.map((backend) => backend.id));
  return REDIRECT_LISTS.flatMap((name) => {
    const place = placeOf(config, settings, name);
    const { redirects, complaints } = readRedirects(name, config[name]);
    const missing = redirects.filter(
      ({ node }) => typeof node === "number" && known.size > 0 && !known.has(node),
    );
    return [
      ...complaints.map(({ message, hint }) => finding("error", place, message, hint)),
      ...missing.map(({ names, node }) => {
        const message = `${name} sends "${names.source}" to node ${node}, which does not exist`;
        return finding("error", place, message, `there are nodes ${[...known].join(", ")}`);
      }),
    ];
  });
}

function checkRelationships(config: Config, settings: Settings): readonly Finding[] {
  const place = placeOf(config, settings, "dml_adaptive_object_relationship_list");
  const { complaints } = readRelationships(config.dml_adaptive_object_relationship_list);
  return complaints.map(({ message, hint }) => finding("error", place, message, hint));
}

/** What looks as if it kept reads from standbys that lag, and does not. */
function checkDelays(config: Config, settings: Settings): readonly Finding[] {
  const findings: Finding[] = [];
  const threshold =
    config.delay_threshold_by_time > 0 ? "delay_threshold_by_time" : "delay_threshold";
  if (config[threshold] > 0 && config.sr_check_period === 0) {
    const message = `${threshold} has no effect while sr_check_period is 0: nobody measures delays`;
    const place = placeOf(config, settings, threshold);
    findings.push(finding("warning", place, message, "set sr_check_period = 10"));
  }
  if (config.replication_delay_source_cmd !== "" && config.delay_threshold_by_time === 0) {
    const message = "replication_delay_source_cmd has no effect without delay_threshold_by_time";
    const place = placeOf(config, settings, "replication_delay_source_cmd");
    findings.push(finding("warning", place, message, "set delay_threshold_by_time = 10s"));
  }
  return findings;
}
