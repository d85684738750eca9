import { resolve } from "node:path";
import { fail, succeed, type Result } from "../../base/index.ts";
import { CONFIG_FILES } from "../programs/config-file.ts";
import { readArguments, type Flag } from "../programs/getopt.ts";

/** What the arguments of `pgpool` ask for. Paths are absolute. */
export interface PgpoolOptions {
  readonly action: "start" | "stop" | "reload" | "help" | "version";
  readonly configFile: string | undefined;
  readonly hbaFile: string | undefined;
  readonly pcpFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly stopMode: "smart" | "fast" | "immediate";
  readonly foreground: boolean;
  readonly discardStatus: boolean;
  readonly clearOidMaps: boolean;
  readonly debug: boolean;
}

const FLAGS = {
  "hba-file": { type: "string", short: "a" },
  "config-file": { type: "string", short: "f" },
  "pcp-file": { type: "string", short: "F" },
  "key-file": { type: "string", short: "k" },
  mode: { type: "string", short: "m" },
  "dont-detach": { type: "boolean", short: "n" },
  "discard-status": { type: "boolean", short: "D" },
  "clear-oidmaps": { type: "boolean", short: "C" },
  debug: { type: "boolean", short: "d" },
  "debug-assertions": { type: "boolean", short: "x" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "v" },
} as const satisfies Record<string, Flag>;

const STOP_MODES = { s: "smart", f: "fast", i: "immediate" } as const;

/**
 * Reads the arguments. Errors: getopt's complaint, or "" where the usage text says enough.
 *
 * `-x` is accepted: assertions are always on.
 */
export function parsePgpoolOptions(argv: readonly string[]): Result<PgpoolOptions, string> {
  const raw = readArguments(argv, FLAGS);
  if (!raw.ok) return raw;
  const { values, positionals } = raw.value;
  const path = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === "string" ? resolve(value) : undefined;
  };
  const action = actionOf(values, positionals);
  const stopMode = stopModeOf(values["mode"]);
  if (action === null || stopMode === null) return fail("");
  return succeed({
    action,
    configFile: path("config-file"),
    hbaFile: path("hba-file"),
    pcpFile: path("pcp-file"),
    keyFile: path("key-file"),
    stopMode,
    foreground: values["dont-detach"] === true,
    discardStatus: values["discard-status"] === true,
    clearOidMaps: values["clear-oidmaps"] === true,
    debug: values["debug"] === true,
  });
}

function actionOf(
  values: Readonly<Record<string, unknown>>,
  positionals: readonly string[],
): PgpoolOptions["action"] | null {
  if (values["help"] === true) return "help";
  if (values["version"] === true) return "version";
  const [word, ...surplus] = positionals;
  if (surplus.length > 0) return null;
  if (word === undefined) return "start";
  return word === "stop" || word === "reload" ? word : null;
}

/** Only the first letter counts, as in Pgpool-II. */
function stopModeOf(value: string | boolean | undefined): PgpoolOptions["stopMode"] | null {
  if (typeof value !== "string") return "smart";
  const letter = value.charAt(0);
  if (letter === "s" || letter === "f" || letter === "i") return STOP_MODES[letter];
  return null;
}

/** @param version first line of the text. */
export function pgpoolUsage(version: string): string {
  const [first, second] = CONFIG_FILES;
  return `${version},
  A connection pool, load balancer and failover manager for PostgreSQL

Usage:
  pgpool [ -f CONFIG_FILE ] [ -F PCP_CONFIG_FILE ] [ -a HBA_CONFIG_FILE ]
         [ -k KEY_FILE ] [ -n ] [ -D ] [ -C ] [ -d ]
  pgpool [ -f CONFIG_FILE ] [ -F PCP_CONFIG_FILE ] [ -a HBA_CONFIG_FILE ]
         [ -m SHUTDOWN-MODE ] stop
  pgpool [ -f CONFIG_FILE ] [ -F PCP_CONFIG_FILE ] [ -a HBA_CONFIG_FILE ] reload

Common options:
  -a, --hba-file=HBA_CONFIG_FILE
                      Set the path to the pool_hba.conf configuration file
                      (default: pool_hba.conf beside the configuration file)
  -f, --config-file=CONFIG_FILE
                      Set the path to the pgpool.conf configuration file
                      (default: ${first},
                      then ${second})
  -k, --key-file=KEY_FILE
                      Set the path to the pgpool key file
                      (default: the PGPOOLKEYFILE environment variable, then ~/.pgpoolkey)
  -F, --pcp-file=PCP_CONFIG_FILE
                      Set the path to the pcp.conf configuration file
                      (default: pcp.conf beside the configuration file)
  -h, --help          Print this help
  -v, --version       Print the version

Start options:
  -C, --clear-oidmaps Clear query cache oidmaps when memqcache_method is memcached
                      (If shmem, discards whenever pgpool starts.)
  -n, --dont-detach   Don't run in daemon mode, does not detach control tty
  -x, --debug-assertions   Accepted for compatibility: assertions are always on
  -D, --discard-status Discard pgpool_status file and do not restore previous status
  -d, --debug         Debug mode

Stop options:
  -m, --mode=SHUTDOWN-MODE
                      Can be "smart", "fast", or "immediate"

Shutdown modes are:
  smart       quit after all clients have disconnected
  fast        quit directly, with proper shutdown
  immediate   the same mode as fast
`;
}
