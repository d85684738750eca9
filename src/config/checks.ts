import type { Config } from "./config.ts";
import type { Finding } from "./finding.ts";
import type { Settings } from "./settings.ts";

/** What only a look at several values together shows. */
export function checkConfig(_config: Config, _settings: Settings): readonly Finding[] {
  return [];
}
