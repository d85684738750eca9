import type { Config } from "./config.ts";
import { finding } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { readPoolModes } from "./pool-modes.ts";
import { placeOf } from "./settings.ts";
import type { Settings } from "./settings.ts";

/** Values about shared connections that cannot work, or not together. */
export function checkPooling(config: Config, settings: Settings): readonly Finding[] {
  return [...checkPoolModes(config, settings), ...checkCaps(config, settings)];
}

function checkPoolModes(config: Config, settings: Settings): readonly Finding[] {
  const place = placeOf(config, settings, "pool_mode_list");
  const hint = "write user/database:session or user/database:transaction; * stands for any name";
  return readPoolModes(config.pool_mode_list).complaints.map(({ message }) =>
    finding("error", place, message, hint),
  );
}

/** A bound below pool_size is what counts, which is allowed, but seldom what was meant. */
function checkCaps(config: Config, settings: Settings): readonly Finding[] {
  const caps = ["max_backend_connections", "max_db_connections", "max_user_connections"] as const;
  const isSharing =
    config.pool_mode === "transaction" ||
    readPoolModes(config.pool_mode_list).exceptions.some(({ mode }) => mode === "transaction");
  if (!isSharing) return [];
  return caps.flatMap((name) => {
    const max = config[name];
    if (max === 0 || max >= config.pool_size) return [];
    const place = placeOf(config, settings, name, "pool_size");
    const message = `${name} (${max}) is smaller than pool_size (${config.pool_size})`;
    return [finding("warning", place, message, "no pool can grow to pool_size")];
  });
}
