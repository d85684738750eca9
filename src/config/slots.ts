import { assert, Secret } from "../base/index.ts";
import type { BackendConfig, HealthCheckConfig, HeartbeatConfig, NodeConfig } from "./config.ts";
import type { Settings } from "./settings.ts";
import { findRow, isPlain } from "./parameters/table.ts";
import { initialValue } from "./values.ts";

/** Where a backend without host name is reached: the directory of PostgreSQL's socket file. */
const DEFAULT_SOCKET_DIRECTORY = "/tmp";

/** A backend exists when its port is given. Source: Pgpool-II. */
export function backendsOf(settings: Settings): readonly BackendConfig[] {
  return settings
    .numbersOf(["backend_port"])
    .filter((id) => numberOf(settings, "backend_port", id) !== 0)
    .map((id) => backendOf(settings, id));
}

/** A watchdog node exists when its host name is given and not empty. */
export function nodesOf(settings: Settings): readonly NodeConfig[] {
  return settings
    .numbersOf(["hostname"])
    .filter((id) => textOf(settings, "hostname", id) !== "")
    .map((id) => ({
      id,
      hostname: textOf(settings, "hostname", id),
      pgpoolPort: numberOf(settings, "pgpool_port", id),
      wdPort: numberOf(settings, "wd_port", id),
      heartbeats: heartbeatsOf(settings, id),
    }));
}

/** The flags of `backend_flagN`, as written, without blanks. */
export function flagsOf(settings: Settings, id: number): readonly string[] {
  const words = textOf(settings, "backend_flag", id).split("|");
  return words.map((word) => word.trim()).filter((word) => word !== "");
}

function backendOf(settings: Settings, id: number): BackendConfig {
  const flags = flagsOf(settings, id);
  const hostname = textOf(settings, "backend_hostname", id);
  return {
    id,
    hostname: hostname === "" ? DEFAULT_SOCKET_DIRECTORY : hostname,
    port: numberOf(settings, "backend_port", id),
    weight: numberOf(settings, "backend_weight", id),
    dataDirectory: textOf(settings, "backend_data_directory", id),
    applicationName: textOf(settings, "backend_application_name", id),
    mayFailover: !flags.includes("DISALLOW_TO_FAILOVER"),
    alwaysPrimary: flags.includes("ALWAYS_PRIMARY"),
    healthCheck: healthCheckOf(settings, id),
  };
}

function healthCheckOf(settings: Settings, id: number): HealthCheckConfig {
  const password = valueOf(settings, "health_check_password", id);
  assert(password instanceof Secret, "health_check_password is a secret");
  return {
    period: numberOf(settings, "health_check_period", id),
    timeout: numberOf(settings, "health_check_timeout", id),
    user: textOf(settings, "health_check_user", id),
    password,
    database: textOf(settings, "health_check_database", id),
    maxRetries: numberOf(settings, "health_check_max_retries", id),
    retryDelay: numberOf(settings, "health_check_retry_delay", id),
    connectTimeout: numberOf(settings, "connect_timeout", id),
  };
}

/** Addresses and devices are lists that run side by side; the port holds for all of them. */
function heartbeatsOf(settings: Settings, id: number): readonly HeartbeatConfig[] {
  const port = numberOf(settings, "heartbeat_port", id);
  if (port === 0) return [];
  const hostnames = splitList(textOf(settings, "heartbeat_hostname", id));
  const devices = textOf(settings, "heartbeat_device", id).split(";");
  const targets = hostnames.length === 0 ? [textOf(settings, "hostname", id)] : hostnames;
  return targets.map((hostname, index) => ({
    hostname,
    port,
    device: devices[index]?.trim() ?? "",
  }));
}

function splitList(text: string): readonly string[] {
  const items = text.split(";").map((item) => item.trim());
  return items.filter((item) => item !== "");
}

function numberOf(settings: Settings, name: string, id: number): number {
  const value = valueOf(settings, name, id);
  assert(typeof value === "number", `${name} is a number`);
  return value;
}

function textOf(settings: Settings, name: string, id: number): string {
  const value = valueOf(settings, name, id);
  assert(typeof value === "string", `${name} is a string`);
  return value;
}

/** The slot's own value, the one given for all slots, or the initial one. */
function valueOf(settings: Settings, name: string, id: number): ReturnType<typeof initialValue> {
  const row = findRow(name);
  assert(row !== null, `${name} is in the table`);
  const forAll = isPlain(row) ? settings.value(name) : undefined;
  return settings.value(`${name}${id}`) ?? forAll ?? initialValue(row);
}
