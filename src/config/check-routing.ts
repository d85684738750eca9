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
