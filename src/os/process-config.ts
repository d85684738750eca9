/**
 * How each process of a node comes by its configuration and its log. The supervisor names the
 * files in the environment; every process reads them itself, so no secret crosses a channel.
 */
import { loadConfig, type Config, type Finding } from "../config/index.ts";
import { readTextFile } from "./files.ts";
import type { LogLevel } from "./log.ts";
import { openLog, type LogOptions, type OpenLog } from "./open-log.ts";

export interface ConfigFilePaths {
  readonly configFile: string;
  readonly hbaFile: string;
  readonly pcpFile: string;
}

/** Environment of the children of a supervisor. */
export function configEnvironment(
  paths: ConfigFilePaths,
  debug: boolean,
): Readonly<Record<string, string>> {
  return {
    PGQUORUM_CONFIG: paths.configFile,
    PGQUORUM_HBA: paths.hbaFile,
    PGQUORUM_PCP: paths.pcpFile,
    PGQUORUM_DEBUG: debug ? "1" : "",
  };
}

/** Reads the files that the environment names. `config` is null when a finding is an error. */
export function loadProcessConfig(env: Readonly<Record<string, string | undefined>>): {
  readonly config: Config | null;
  readonly findings: readonly Finding[];
} {
  const { PGQUORUM_CONFIG: configFile, PGQUORUM_HBA: hbaFile, PGQUORUM_PCP: pcpFile } = env;
  return loadConfig({
    configFile: configFile ?? "/etc/pgquorum/pgpool.conf",
    ...(hbaFile === undefined ? {} : { hbaFile }),
    ...(pcpFile === undefined ? {} : { pcpFile }),
    readText: readTextFile,
  });
}

/** @param debug started with -d: at least DEBUG1. */
export function logOptionsFor(config: Config, application: string, debug: boolean): LogOptions {
  const level: LogLevel = config.log_min_messages;
  return {
    destination: config.log_destination,
    linePrefix: config.log_line_prefix,
    minLevel: debug && !level.startsWith("debug") ? "debug1" : level,
    application,
    errorVerbosity: config.log_error_verbosity,
    syslogFacility: config.syslog_facility,
    syslogIdent: config.syslog_ident,
  };
}

export function openProcessLog(config: Config, application: string): OpenLog {
  return openLog(logOptionsFor(config, application, process.env.PGQUORUM_DEBUG === "1"));
}
