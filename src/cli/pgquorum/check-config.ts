import { existsSync } from "node:fs";
import { parseHba, parsePcpConf, parsePoolPasswd } from "../../auth/index.ts";
import type { Config, Finding } from "../../config/index.ts";
import { formatFindings } from "../../config/index.ts";
import { programProblem, readTextFile } from "../../os/index.ts";
import { findConfigFile, readConfig } from "../programs/config-file.ts";

export interface CheckOptions {
  readonly config?: string | undefined;
  readonly hbaFile?: string | undefined;
}

/** What was found, as text, and whether a node would start with these files. */
export interface CheckOutcome {
  readonly text: string;
  readonly isUsable: boolean;
}

/**
 * Checks pgpool.conf and the files beside it, all at once. Of pool_hba.conf, pool_passwd and
 * pcp.conf an absent one is only told of when something needs it.
 */
export function checkConfig(options: CheckOptions): CheckOutcome {
  const file = findConfigFile(options.config);
  const { config, findings } = readConfig({ configFile: file, hbaFile: options.hbaFile });
  const beside =
    config === null
      ? hbaFindings(options.hbaFile ?? `${file.replace(/[^/]*$/, "")}pool_hba.conf`, false)
      : [
          ...hbaFindings(config.files.hba, config.enable_pool_hba || options.hbaFile !== undefined),
          ...poolPasswdFindings(config.files.poolPasswd),
          ...pcpConfFindings(config.files.pcp),
          ...commandFindings(config),
        ];
  const all = [...findings, ...beside];
  const errors = all.filter(({ level }) => level === "error").length;
  const warnings = all.filter(({ level }) => level === "warning").length;
  const counts = `${count(errors, "error")}, ${count(warnings, "warning")}`;
  const verdict = errors === 0 ? "the configuration is usable" : "the node would not start";
  return { text: `${formatFindings(all)}${file}: ${verdict}: ${counts}\n`, isUsable: errors === 0 };
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}

function hbaFindings(file: string, isNeeded: boolean): readonly Finding[] {
  if (!existsSync(file) && !isNeeded) return [];
  const text = readTextFile(file);
  if (text.ok) return parseHba(text.value, { file, readFile: readTextFile }).findings;
  return [
    unreadable(
      file,
      isNeeded ? "error" : "warning",
      text.error,
      "write the rules, or set enable_pool_hba = off",
    ),
  ];
}

function poolPasswdFindings(file: string | null): readonly Finding[] {
  if (file === null || !existsSync(file)) return [];
  const text = readTextFile(file);
  if (text.ok) return parsePoolPasswd(text.value, file).findings;
  return [unreadable(file, "warning", text.error, "let the user that runs pgpool read it")];
}

function pcpConfFindings(file: string): readonly Finding[] {
  const text = readTextFile(file);
  if (text.ok) return parsePcpConf(text.value, file).findings;
  const hint = "without it no pcp_* command can log in: write user:md5hex(password) lines";
  return [unreadable(file, "notice", text.error, hint)];
}

const COMMANDS = [
  "failover_command",
  "failover_ready_command",
  "failback_command",
  "follow_primary_command",
  "demote_command",
  "failover_ready_command",
  "wd_escalation_command",
  "wd_de_escalation_command",
  "replication_delay_source_cmd",
] as const satisfies readonly (keyof Config)[];

/** A script that is missing would be missed only when it is needed most. */
function commandFindings(config: Config): readonly Finding[] {
  return COMMANDS.flatMap((name) => {
    const problem = programProblem(config[name]);
    if (problem === null) return [];
    const message = `${name} cannot be started by this user: ${problem}`;
    const hint = "correct the path, or make the file executable for the user that the node runs as";
    return [{ level: "warning", file: config.files.config, line: null, message, hint }];
  });
}

function unreadable(file: string, level: Finding["level"], why: string, hint: string): Finding {
  return { level, file, line: null, message: `cannot be read: ${why}`, hint };
}
