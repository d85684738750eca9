import type { BackendConfig, Config } from "./config.ts";
import { finding } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { PARAMETERS } from "./parameters/table.ts";
import { placeOf } from "./settings.ts";
import type { Settings } from "./settings.ts";
import { flagsOf } from "./slots.ts";

export function checkBackends(config: Config, settings: Settings): readonly Finding[] {
  return [
    ...checkMode(config, settings),
    ...checkSlots(config, settings),
    ...checkDuplicates(config, settings),
    ...checkFlags(config, settings),
    ...checkUsers(config, settings),
    ...checkCandidate(config, settings),
    ...checkWeights(config, settings),
  ];
}

const UNSUPPORTED_MODES: readonly string[] = ["native_replication", "snapshot_isolation", "slony"];

function checkMode(config: Config, settings: Settings): readonly Finding[] {
  const findings: Finding[] = [];
  const mode = config.backend_clustering_mode;
  const hint = "supported are streaming_replication, logical_replication and raw";
  if (UNSUPPORTED_MODES.includes(mode)) {
    const place = placeOf(config, settings, "backend_clustering_mode");
    const message = `backend_clustering_mode = ${mode} is not supported yet`;
    findings.push(finding("error", place, message, hint));
  }
  if (config.replication_mode) {
    const place = placeOf(config, settings, "replication_mode");
    const message = "replication_mode (native replication) is not supported yet";
    findings.push(finding("error", place, message, `remove it; ${hint}`));
  }
  const isReplicating = config.replication_mode || UNSUPPORTED_MODES.slice(0, 2).includes(mode);
  const quorum = "failover_when_quorum_exists";
  if (isReplicating && settings.value(quorum) === true) {
    const message = `${quorum} is always off in replication modes`;
    findings.push(finding("warning", placeOf(config, settings, quorum), message, "remove it"));
  }
  return findings;
}

/** Values for a server that does not exist, because its port is missing. */
function checkSlots(config: Config, settings: Settings): readonly Finding[] {
  const names = PARAMETERS.filter(({ slots }) => slots === "backend").map(({ name }) => name);
  const findings: Finding[] = [];
  for (const id of settings.numbersOf(names)) {
    const portName = `backend_port${id}`;
    // A port that was refused has its own finding; one that is 0 switches the server off.
    if (settings.isWritten(portName)) continue;
    const hostname = settings.value(`backend_hostname${id}`);
    if (hostname === "") continue;
    const first = names.map((name) => `${name}${id}`).find((key) => settings.isWritten(key)) ?? "";
    const isNamed = hostname !== undefined;
    const message = `${first} has no effect: ${portName} is not set`;
    const place = placeOf(config, settings, first);
    findings.push(finding(isNamed ? "error" : "warning", place, message, `set ${portName} = 5432`));
  }
  const isRefused = settings
    .numbersOf(["backend_port"])
    .some((id) => settings.isRefused(`backend_port${id}`));
  if (config.backends.length === 0 && findings.length === 0 && !isRefused) {
    const place = placeOf(config, settings, "backend_port0");
    const hint = "set backend_hostname0 and backend_port0";
    findings.push(finding("warning", place, "no PostgreSQL server is configured", hint));
  }
  return findings;
}

/** One server under two numbers would be detached twice and promoted while it is the primary. */
function checkDuplicates(config: Config, settings: Settings): readonly Finding[] {
  const seen = new Map<string, BackendConfig>();
  const findings: Finding[] = [];
  for (const backend of config.backends) {
    const address = `${backend.hostname}:${backend.port}`;
    const other = seen.get(address);
    seen.set(address, other ?? backend);
    if (other === undefined) continue;
    const place = placeOf(config, settings, `backend_port${backend.id}`);
    const message = `backends ${other.id} and ${backend.id} are both ${address}`;
    findings.push(finding("error", place, message, "give each server one number only"));
  }
  return findings;
}

const FLAGS: readonly string[] = ["ALLOW_TO_FAILOVER", "DISALLOW_TO_FAILOVER", "ALWAYS_PRIMARY"];

function checkFlags(config: Config, settings: Settings): readonly Finding[] {
  const findings: Finding[] = [];
  for (const id of settings.numbersOf(["backend_flag"])) {
    const place = placeOf(config, settings, `backend_flag${id}`);
    const flags = flagsOf(settings, id);
    for (const flag of flags.filter((each) => !FLAGS.includes(each))) {
      const message = `backend_flag${id} holds the unknown flag "${flag}"`;
      findings.push(finding("error", place, message, `flags are ${FLAGS.join(", ")}`));
    }
    if (flags.includes("ALLOW_TO_FAILOVER") && flags.includes("DISALLOW_TO_FAILOVER")) {
      const message = `backend_flag${id} allows and disallows failover`;
      findings.push(finding("error", place, message, "keep one of the two flags"));
    }
  }
  const [, second] = config.backends.filter((backend) => backend.alwaysPrimary);
  if (second !== undefined) {
    const place = placeOf(config, settings, `backend_flag${second.id}`);
    const message = "more than one backend has the flag ALWAYS_PRIMARY";
    findings.push(finding("error", place, message, "there is one primary: keep one flag"));
  }
  return findings;
}

function checkUsers(config: Config, settings: Settings): readonly Finding[] {
  const findings: Finding[] = [];
  const isStreaming = config.backend_clustering_mode === "streaming_replication";
  if (isStreaming && config.backends.length > 0 && config.sr_check_user === "") {
    const place = placeOf(config, settings, "sr_check_user");
    const message = "sr_check_user is empty: the servers cannot be asked which is the primary";
    findings.push(finding("warning", place, message, "name a user with the role pg_monitor"));
  }
  const unnamed = config.backends.find(
    ({ healthCheck }) => healthCheck.period > 0 && healthCheck.user === "",
  );
  if (unnamed !== undefined) {
    const names = [`health_check_user${unnamed.id}`, "health_check_user"] as const;
    const message = `health checks of backend ${unnamed.id} are on, but health_check_user is empty`;
    const place = placeOf(config, settings, ...names);
    findings.push(finding("warning", place, message, "name a user who may log in"));
  }
  return findings;
}

/** Who may have what was acknowledged is known by names, and by looking often. */
function checkCandidate(config: Config, settings: Settings): readonly Finding[] {
  if (config.failover_candidate !== "lsn") return [];
  const place = placeOf(config, settings, "failover_candidate");
  if (config.sr_check_period === 0) {
    const message = "failover_candidate = lsn knows no synchronous standby: sr_check_period is 0";
    return [finding("warning", place, message, "set sr_check_period to 1 or more")];
  }
  const fixed = config.backends.find(({ alwaysPrimary }) => alwaysPrimary);
  if (fixed !== undefined) {
    const message = `failover_candidate = lsn chooses nobody: backend ${fixed.id} has the flag ALWAYS_PRIMARY`;
    const hint = `remove it, because somebody else decides who the primary is; or remove ALWAYS_PRIMARY from backend_flag${fixed.id}`;
    return [finding("warning", place, message, hint)];
  }
  const nameless = config.backends.find(({ applicationName }) => applicationName === "");
  if (nameless === undefined) return [];
  const message = `failover_candidate = lsn cannot tell backend ${nameless.id} among the synchronous standbys`;
  const hint = `set backend_application_name${nameless.id} to the application_name with which it streams`;
  return [finding("warning", place, message, hint)];
}

function checkWeights(config: Config, settings: Settings): readonly Finding[] {
  const isAllZero = config.backends.every((backend) => backend.weight === 0);
  if (!config.load_balance_mode || config.backends.length < 2 || !isAllZero) return [];
  const place = placeOf(config, settings, "backend_weight0", "load_balance_mode");
  const message = "load_balance_mode is on, but every backend_weightN is 0: reads are not spread";
  return [finding("warning", place, message, "set backend_weightN = 1 for each server")];
}
