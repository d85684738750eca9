import type { Config, ConfigFiles, PlainValues, Value } from "./config.ts";
import { finding } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { findRow, isPlain, PARAMETERS } from "./parameters/table.ts";
import { SLOTS_MAX } from "./parameters/parameter.ts";
import { directoryOf, resolvePath } from "./paths.ts";
import { readSettings } from "./read.ts";
import type { ReadText } from "./read.ts";
import { Settings } from "./settings.ts";
import { backendsOf, nodesOf } from "./slots.ts";
import { checkConfig } from "./checks.ts";
import { initialValue } from "./values.ts";

export interface LoadOptions {
  /** Absolute path of pgpool.conf. */
  readonly configFile: string;
  /** Absolute; `pool_hba.conf` beside pgpool.conf when absent. */
  readonly hbaFile?: string;
  /** Absolute; `pcp.conf` beside pgpool.conf when absent. */
  readonly pcpFile?: string;
  /** The text of a file, or why it cannot be had. The caller bounds the size. */
  readonly readText: ReadText;
}

export interface LoadedConfig {
  /** Null if and only if some finding is an error. */
  readonly config: Config | null;
  /** In the order of the files, then what was found by looking at the whole. */
  readonly findings: readonly Finding[];
}

/** Reads pgpool.conf, what it includes and pgpool_node_id; says all that is wrong, at once. */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const lines = readSettings(options.configFile, options.readText);
  const { settings, findings } = Settings.from(lines);
  const files = filesOf(options, settings);
  const plain = plainValuesOf(settings, files);
  const nodeId = readNodeId(plain.use_watchdog, files, options.readText);
  const config: Config = {
    ...plain,
    backends: backendsOf(settings),
    nodes: nodesOf(settings),
    nodeId: nodeId.id,
    files,
    set: settings.keys(),
  };
  const all = [...findings, ...nodeId.findings, ...checkConfig(config, settings)];
  const isUsable = all.every((found) => found.level !== "error");
  return { config: isUsable ? config : null, findings: all };
}

function filesOf(options: LoadOptions, settings: Settings): ConfigFiles {
  const directory = directoryOf(options.configFile);
  const poolPasswd = settings.value("pool_passwd") ?? "pool_passwd";
  return {
    config: options.configFile,
    directory,
    hba: options.hbaFile ?? resolvePath(directory, "pool_hba.conf"),
    pcp: options.pcpFile ?? resolvePath(directory, "pcp.conf"),
    poolPasswd: poolPasswd === "" ? null : resolvePath(directory, String(poolPasswd)),
    nodeId: resolvePath(directory, "pgpool_node_id"),
  };
}

function plainValuesOf(settings: Settings, files: ConfigFiles): PlainValues {
  const values: Record<string, Value> = {};
  for (const { name } of PARAMETERS) {
    const row = findRow(name);
    if (row === null || !isPlain(row)) continue;
    values[name] = settings.value(name) ?? initialValue(row);
  }
  values["pid_file_name"] = resolvePath(files.directory, String(values["pid_file_name"]));
  // The table gives every plain name a value of the type that its row names: `parseValue` and
  // `initialValue` promise it, and a test goes through all rows.
  return values as unknown as PlainValues;
}

function readNodeId(
  isNeeded: boolean,
  files: ConfigFiles,
  readText: ReadText,
): { id: number | null; findings: readonly Finding[] } {
  const place = { file: files.nodeId, line: null };
  const hint = `write this node's number, the N of its hostnameN, into ${files.nodeId}`;
  const level = isNeeded ? "error" : "warning";
  const text = readText(files.nodeId);
  if (!text.ok) {
    const message = `use_watchdog is on and the file cannot be read: ${text.error}`;
    return { id: null, findings: isNeeded ? [finding(level, place, message, hint)] : [] };
  }
  const id = Number(text.value.trim());
  if (/^[0-9]{1,3}$/.test(text.value.trim()) && id < SLOTS_MAX) return { id, findings: [] };
  const message = `the file holds no number from 0 to ${SLOTS_MAX - 1}`;
  return { id: null, findings: [finding(level, place, message, hint)] };
}
