import { assert, fail, succeed } from "../../../src/base/index.ts";
import { formatFindings, loadConfig } from "../../../src/config/index.ts";
import type { Config, LoadedConfig } from "../../../src/config/index.ts";

type Files = Readonly<Record<string, string>>;

/** Loads `text` as /etc/pgq/pgpool.conf; other files by their absolute paths. */
export function load(text: string, others: Files = {}): LoadedConfig {
  const files: Files = { "/etc/pgq/pgpool.conf": text, ...others };
  return loadConfig({
    configFile: "/etc/pgq/pgpool.conf",
    readText: (path) => {
      const found = Object.hasOwn(files, path) ? files[path] : undefined;
      return found === undefined ? fail("no such file") : succeed(found);
    },
  });
}

/** The findings as a person sees them, without the directory; one line each. */
export function complaints(text: string, others: Files = {}): readonly string[] {
  const lines = formatFindings(load(text, others).findings).split("\n");
  return lines.filter((line) => line !== "").map((line) => line.replaceAll("/etc/pgq/", ""));
}

/** The configuration that this text gives; the text must hold no error. */
export function configOf(text: string, others: Files = {}): Config {
  const { config, findings } = load(text, others);
  assert(config !== null, formatFindings(findings));
  return config;
}

/** One server, so that nothing is left to complain about. */
export const ONE_BACKEND = `backend_hostname0 = 'server1'
backend_port0 = 5432
sr_check_user = 'checker'
`;

/** Three nodes on three hosts. */
export const THREE_NODES = `use_watchdog = on
wd_authkey = 'a long and secret text'
hostname0 = 'server1'
wd_port0 = 9000
pgpool_port0 = 9999
heartbeat_hostname0 = 'server1'
heartbeat_port0 = 9694
hostname1 = 'server2'
wd_port1 = 9000
pgpool_port1 = 9999
heartbeat_hostname1 = 'server2;10.1.0.12'
heartbeat_device1 = ';eth1'
heartbeat_port1 = 9694
hostname2 = 'server3'
wd_port2 = 9000
pgpool_port2 = 9999
heartbeat_port2 = 9694
`;

export const NODE_ID_1: Files = { "/etc/pgq/pgpool_node_id": "1\n" };
