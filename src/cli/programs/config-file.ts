import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Config, LoadedConfig } from "../../config/index.ts";
import { formatFindings, loadConfig } from "../../config/index.ts";
import { fail, succeed, type Result } from "../../base/index.ts";
import { readTextFile } from "../../os/index.ts";

/** Where pgpool.conf is looked for when no `-f` names it; the first that exists is used. */
export const CONFIG_FILES = ["/etc/pgquorum/pgpool.conf", "/etc/pgpool2/pgpool.conf"] as const;

export interface FileOptions {
  readonly configFile?: string | undefined;
  readonly hbaFile?: string | undefined;
  readonly pcpFile?: string | undefined;
}

/** Absolute path of the file to use: the one named, else the first default that exists. */
export function findConfigFile(named: string | undefined): string {
  if (named !== undefined) return resolve(named);
  return CONFIG_FILES.find((path) => existsSync(path)) ?? CONFIG_FILES[0];
}

/** Reads the configuration from the disk; relative paths start at the working directory. */
export function readConfig(options: FileOptions): LoadedConfig {
  return loadConfig({
    configFile: findConfigFile(options.configFile),
    ...(options.hbaFile === undefined ? {} : { hbaFile: resolve(options.hbaFile) }),
    ...(options.pcpFile === undefined ? {} : { pcpFile: resolve(options.pcpFile) }),
    readText: readTextFile,
  });
}

/** The configuration, or its errors as text for a person. */
export function requireConfig(options: FileOptions): Result<Config, string> {
  const { config, findings } = readConfig(options);
  if (config !== null) return succeed(config);
  return fail(formatFindings(findings.filter(({ level }) => level === "error")));
}
