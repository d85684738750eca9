import type { Config } from "./config.ts";

export type PoolMode = Config["pool_mode"];

interface Exception {
  readonly user: string;
  readonly database: string;
  readonly mode: PoolMode;
}

/** An entry of pool_mode_list that means nothing. */
export interface PoolModeComplaint {
  readonly entry: string;
  readonly message: string;
}

const MODES: readonly string[] = ["session", "transaction"] satisfies PoolMode[];

/** Reads pool_mode_list: `user/database:mode`, where either name may be `*`. */
export function readPoolModes(entries: readonly string[]): {
  readonly exceptions: readonly Exception[];
  readonly complaints: readonly PoolModeComplaint[];
} {
  const exceptions: Exception[] = [];
  const complaints: PoolModeComplaint[] = [];
  for (const entry of entries) {
    // The first slash and the last colon: a database's name may hold either.
    const slash = entry.indexOf("/");
    const colon = entry.lastIndexOf(":");
    const user = entry.slice(0, Math.max(0, slash)).trim();
    const database = entry.slice(slash + 1, Math.max(slash + 1, colon)).trim();
    const mode = entry.slice(colon + 1).trim();
    if (slash < 0 || colon < slash || user === "" || database === "") {
      complaints.push({ entry, message: `"${entry}" in pool_mode_list is not user/database:mode` });
    } else if (!isMode(mode)) {
      const message = `"${mode}" in pool_mode_list is no pool mode`;
      complaints.push({ entry, message });
    } else {
      exceptions.push({ user, database, mode });
    }
  }
  return { exceptions, complaints };
}

/** Of this client: the first exception that fits, else pool_mode. */
export function poolModeOf(
  client: { readonly user: string; readonly database: string },
  o: { readonly mode: PoolMode; readonly list: readonly string[] },
): PoolMode {
  if (o.list.length === 0) return o.mode;
  const fits = (name: string, own: string): boolean => name === "*" || name === own;
  const found = readPoolModes(o.list).exceptions.find(
    ({ user, database }) => fits(user, client.user) && fits(database, client.database),
  );
  return found?.mode ?? o.mode;
}

function isMode(text: string): text is PoolMode {
  return MODES.includes(text);
}
