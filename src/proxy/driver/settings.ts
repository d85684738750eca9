import { createHash } from "node:crypto";
import { networkInterfaces } from "node:os";
import { parseHba, parsePoolPasswd, type AuthFinding } from "../../auth/index.ts";
import { fail, succeed, type Result } from "../../base/index.ts";
import type { Config, Finding } from "../../config/index.ts";
import { loadProcessConfig, readTextFile } from "../../os/index.ts";
import { compileRules } from "../core/routing/index.ts";
import type { Settings } from "./worker-context.ts";

type AnyFinding = Finding | AuthFinding;

export interface SettingsRead {
  readonly settings: Settings;
  /** Of pool_hba.conf and pool_passwd. */
  readonly findings: readonly AnyFinding[];
}

/**
 * Reads pgpool.conf (as the environment names it), pool_hba.conf and pool_passwd.
 *
 * @param workerCount workers of this node; each takes its share of the clients.
 * @returns the findings when one of them is an error.
 */
export function readSettings(
  workerCount: (config: Config) => number,
): Result<SettingsRead, readonly AnyFinding[]> {
  const { config, findings } = loadProcessConfig(process.env);
  if (config === null) return fail(findings);
  const hbaText = config.enable_pool_hba ? readTextFile(config.files.hba) : succeed("");
  if (!hbaText.ok) {
    const hint = "Create it, or set enable_pool_hba = off.";
    return fail([problem(config.files.hba, hbaText.error, hint)]);
  }
  const hba = parseHba(hbaText.value, { file: config.files.hba });
  if (hba.findings.some((finding) => finding.level === "error")) return fail(hba.findings);
  const passwdText =
    config.files.poolPasswd === null ? null : readTextFile(config.files.poolPasswd);
  const passwd = passwdText?.ok === true ? passwdText.value : "";
  const users = parsePoolPasswd(passwd, config.files.poolPasswd ?? "pool_passwd");
  const clientsMax = Math.ceil(
    (config.num_init_children - config.reserved_connections) / workerCount(config),
  );
  return succeed({
    // What else is wrong with pgpool.conf is the supervisor's to tell.
    findings: [...hba.findings, ...users.findings],
    settings: {
      config,
      rules: compileRules(config),
      hbaRules: hba.rules,
      users: users.users,
      saltSeed: createHash("sha256").update("salts of unknown users\0").update(passwd).digest(),
      ownAddresses: ownAddresses(),
      clientsMax,
    },
  });
}

function problem(file: string, message: string, hint: string): Finding {
  return { level: "error", file, line: null, message, hint };
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map((address) => address.cidr ?? address.address),
  );
}
