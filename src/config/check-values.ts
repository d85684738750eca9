import { Buffer } from "node:buffer";

import type { Config } from "./config.ts";
import { finding } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { placeOf } from "./settings.ts";
import type { Settings } from "./settings.ts";

/** Values of one node that cannot work, or not together. */
export function checkValues(config: Config, settings: Settings): readonly Finding[] {
  return [
    ...checkListening(config, settings),
    ...checkSockets(config, settings),
    ...checkLogDestination(config, settings),
    ...checkSizes(config, settings),
  ];
}

function checkListening(config: Config, settings: Settings): readonly Finding[] {
  const findings: Finding[] = [];
  if (config.port === config.pcp_port) {
    const place = placeOf(config, settings, "pcp_port", "port");
    const message = `port and pcp_port are both ${config.port}`;
    findings.push(finding("error", place, message, "give one of them another number"));
  }
  if (config.listen_addresses.length === 0 && config.unix_socket_directories.length === 0) {
    const place = placeOf(config, settings, "listen_addresses", "unix_socket_directories");
    const message =
      "no client could connect: listen_addresses and unix_socket_directories are empty";
    findings.push(finding("error", place, message, "set one of them"));
  }
  return findings;
}

/** The longest path of a socket file that Linux takes, without the closing zero byte. */
const SOCKET_PATH_BYTES_MAX = 107;

function checkSockets(config: Config, settings: Settings): readonly Finding[] {
  const directories = (
    [
      ["unix_socket_directories", config.unix_socket_directories, config.port],
      ["pcp_socket_dir", config.pcp_socket_dir, config.pcp_port],
      ["work_dir", [config.work_dir], null],
    ] as const
  ).flatMap(([name, paths, port]) => paths.map((path) => ({ name, path, port })));
  return directories.flatMap(({ name, path, port }) => {
    const place = placeOf(config, settings, name);
    if (!path.startsWith("/")) {
      return [
        finding("error", place, `"${path}" in ${name} is no absolute path`, "begin it with /"),
      ];
    }
    const file = `${path}/.s.PGSQL.${port}`;
    if (port === null || Buffer.byteLength(file) <= SOCKET_PATH_BYTES_MAX) return [];
    const message = `the path of the socket file in ${name} is too long: "${file}"`;
    const hint = `use a shorter directory: ${SOCKET_PATH_BYTES_MAX} bytes are the most`;
    return [finding("error", place, message, hint)];
  });
}

const LOG_DESTINATIONS: readonly string[] = ["stderr", "syslog", "jsonlog"];

function checkLogDestination(config: Config, settings: Settings): readonly Finding[] {
  const words = config.log_destination.split(",").map((word) => word.trim());
  const place = placeOf(config, settings, "log_destination");
  return words
    .filter((word) => !LOG_DESTINATIONS.includes(word.toLowerCase()))
    .map((word) => {
      const expected = `expected ${LOG_DESTINATIONS.join(", ")}, with commas between them`;
      return finding("error", place, `log_destination holds "${word}"`, expected);
    });
}

function checkSizes(config: Config, settings: Settings): readonly Finding[] {
  const findings: Finding[] = [];
  if (
    config.memory_cache_enabled &&
    config.memqcache_maxcache >= config.memqcache_cache_block_size
  ) {
    const place = placeOf(config, settings, "memqcache_maxcache", "memqcache_cache_block_size");
    const message = "memqcache_maxcache is not smaller than memqcache_cache_block_size";
    findings.push(finding("error", place, message, "a result must fit into a block"));
  }
  if (config.reserved_connections >= config.num_init_children) {
    const place = placeOf(config, settings, "reserved_connections", "num_init_children");
    const message = "reserved_connections leaves no connection for clients";
    findings.push(finding("error", place, message, "make it smaller than num_init_children"));
  }
  return findings;
}
