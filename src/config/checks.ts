import { checkBackends } from "./check-backends.ts";
import { checkPooling } from "./check-pooling.ts";
import { checkRouting } from "./check-routing.ts";
import { checkValues } from "./check-values.ts";
import { checkWatchdog } from "./check-watchdog.ts";
import type { Config } from "./config.ts";
import type { Finding } from "./finding.ts";
import type { Settings } from "./settings.ts";

/**
 * What only a look at several values together shows. A value that was refused by itself is not
 * spoken of again: each mistake is told once.
 */
export function checkConfig(config: Config, settings: Settings): readonly Finding[] {
  return [
    ...checkValues(config, settings),
    ...checkPooling(config, settings),
    ...checkBackends(config, settings),
    ...checkRouting(config, settings),
    ...checkWatchdog(config, settings),
  ];
}
