import { fail, succeed, type Result } from "../base/index.ts";
import type { BackendConfig, Config, NodeConfig, Value } from "./config.ts";
import { plainValue } from "./inactive.ts";
import { resolveName } from "./names.ts";
import type { ParameterRow } from "./parameters/parameter.ts";
import { findRow, isPlain, PARAMETERS } from "./parameters/table.ts";
import { plainText, type StatusRow } from "./show.ts";
import { formatValue, initialValue, isSameValue, parseValue } from "./values.ts";

/** Why a name or value was refused. */
export type ParameterFault =
  | { readonly kind: "unknown"; readonly nearest: string | null }
  /** It does not change for one session. */
  | { readonly kind: "wrong-context" }
  | { readonly kind: "bad-value"; readonly expected: string };

/** What PGPOOL SHOW answers: one value under its name, or rows of a group. */
export type ShownParameter =
  | { readonly kind: "single"; readonly value: string }
  | { readonly kind: "several"; readonly rows: readonly StatusRow[] };

/** Members in Pgpool-II's order. */
const GROUPS: Readonly<Record<string, readonly string[] | undefined>> = {
  backend: [
    "backend_hostname",
    "backend_port",
    "backend_weight",
    "backend_data_directory",
    "backend_application_name",
    "backend_flag",
  ],
  watchdog: ["hostname", "pgpool_port", "wd_port"],
  heartbeat: ["heartbeat_device", "heartbeat_hostname", "heartbeat_port"],
  health_check: [
    "health_check_period",
    "health_check_timeout",
    "health_check_user",
    "health_check_password",
    "health_check_database",
    "health_check_max_retries",
    "health_check_retry_delay",
    "connect_timeout",
  ],
};

/** PGPOOL SHOW of this name answers with rows of item, value and description. */
export function isParameterGroup(name: string): boolean {
  if (name === "all" || Object.hasOwn(GROUPS, name)) return true;
  return findRow(name)?.slots !== undefined;
}

/**
 * @param name a parameter with or without its number, a group, or `all`; older names too.
 * Source: Pgpool-II manual, "PGPOOL SHOW"; order and values of 4.3.5.
 */
export function showParameter(
  config: Config,
  name: string,
): Result<ShownParameter, ParameterFault & { readonly kind: "unknown" }> {
  if (name === "all") return succeed({ kind: "several", rows: all(config) });
  const group = Object.hasOwn(GROUPS, name) ? GROUPS[name] : undefined;
  if (group !== undefined) return succeed({ kind: "several", rows: groupRows(config, group) });
  if (findRow(name)?.slots !== undefined) {
    return succeed({ kind: "several", rows: groupRows(config, [name]) });
  }
  const meaning = resolveName(name);
  if (meaning.kind !== "parameter") {
    return fail({ kind: "unknown", nearest: meaning.kind === "unknown" ? meaning.nearest : null });
  }
  const { key, row } = meaning;
  const [, base = key, digits] = /^(.*?)([0-9]+)$/.exec(key) ?? [];
  if (row.slots === undefined || digits === undefined) {
    return succeed({ kind: "single", value: textOf(row, plainValue(config, key)) });
  }
  const value = slotValue(config, base, Number(digits)) ?? initialValue(row);
  return succeed({ kind: "single", value: textOf(row, value) });
}

/**
 * The configuration of a session in which this parameter was given another value.
 *
 * @param text null: back to the value of `file`.
 */
export function changeForSession(
  config: Config,
  file: Config,
  name: string,
  text: string | null,
): Result<Config, ParameterFault> {
  const meaning = resolveName(name);
  if (meaning.kind !== "parameter") {
    return fail({ kind: "unknown", nearest: meaning.kind === "unknown" ? meaning.nearest : null });
  }
  const { key, row } = meaning;
  if (row.context !== "session") return fail({ kind: "wrong-context" });
  if (text === null) return succeed({ ...config, [key]: plainValue(file, key) });
  const parsed = parseValue(row, text);
  if (!parsed.ok) return fail({ kind: "bad-value", expected: parsed.error });
  return succeed({ ...config, [key]: parsed.value });
}

/** Of all parameters that a session may change, those of `config` that `file` has otherwise. */
export function changedForSession(config: Config, file: Config): readonly string[] {
  return PARAMETERS.filter(({ context }) => context === "session")
    .map(({ name }) => name)
    .filter((name) => !isSameValue(plainValue(config, name), plainValue(file, name)));
}

/** Groups first, then the longest names: the order that Pgpool-II happens to have. */
function all(config: Config): readonly StatusRow[] {
  const groups = Object.values(GROUPS).flatMap((names) => groupRows(config, names ?? []));
  const others = PARAMETERS.filter(
    ({ slots, visibility }) => slots === null && visibility !== "hidden",
  )
    .toSorted((left, right) => right.name.length - left.name.length)
    .flatMap(({ name }) => {
      const row = findRow(name);
      return row === null ? [] : [rowOf(name, row, plainValue(config, name))];
    });
  return [...groups, ...others];
}

/** Values for all slots first, then slot by slot. */
function groupRows(config: Config, names: readonly string[]): readonly StatusRow[] {
  const rows = names.flatMap((name) => {
    const row = findRow(name);
    return row === null ? [] : [{ name, row }];
  });
  const plain = rows
    .filter(({ row }) => isPlain(row))
    .map(({ name, row }) => rowOf(name, row, plainValue(config, name)));
  const slots = rows[0]?.row.slots === "node" ? config.nodes : config.backends;
  const numbered = slots.flatMap(({ id }) =>
    rows.flatMap(({ name, row }) => {
      const value = slotValue(config, name, id);
      return value === null ? [] : [rowOf(`${name}${id}`, row, value)];
    }),
  );
  return [...plain, ...numbered];
}

function rowOf(item: string, row: ParameterRow, value: Value): StatusRow {
  return { item, value: textOf(row, value), description: plainText(row) };
}

function textOf(row: ParameterRow, value: Value): string {
  if (row.visibility === "masked") return "*****";
  // Pgpool-II knows units of those only that hold one value.
  if (row.slots !== undefined && typeof value === "number") return String(value);
  return formatValue(row, value);
}

/** Null: that slot is not used, or nobody knows the name. */
function slotValue(config: Config, name: string, id: number): Value | null {
  const backend = config.backends.find((one) => one.id === id);
  const ofBackend = BACKEND_VALUES[name];
  if (ofBackend !== undefined) return backend === undefined ? null : ofBackend(backend);
  const node = config.nodes.find((one) => one.id === id);
  const ofNode = NODE_VALUES[name];
  return node === undefined || ofNode === undefined ? null : ofNode(node);
}

const BACKEND_VALUES: Readonly<Record<string, ((backend: BackendConfig) => Value) | undefined>> = {
  backend_hostname: ({ hostname }) => hostname,
  backend_port: ({ port }) => port,
  backend_weight: ({ weight }) => weight,
  backend_data_directory: ({ dataDirectory }) => dataDirectory,
  backend_application_name: ({ applicationName }) => applicationName,
  backend_flag: ({ mayFailover, alwaysPrimary }) => [
    mayFailover ? "ALLOW_TO_FAILOVER" : "DISALLOW_TO_FAILOVER",
    ...(alwaysPrimary ? ["ALWAYS_PRIMARY"] : []),
  ],
  health_check_period: ({ healthCheck }) => healthCheck.period,
  health_check_timeout: ({ healthCheck }) => healthCheck.timeout,
  health_check_user: ({ healthCheck }) => healthCheck.user,
  health_check_password: ({ healthCheck }) => healthCheck.password,
  health_check_database: ({ healthCheck }) => healthCheck.database,
  health_check_max_retries: ({ healthCheck }) => healthCheck.maxRetries,
  health_check_retry_delay: ({ healthCheck }) => healthCheck.retryDelay,
  connect_timeout: ({ healthCheck }) => healthCheck.connectTimeout,
};

const NODE_VALUES: Readonly<Record<string, ((node: NodeConfig) => Value) | undefined>> = {
  hostname: ({ hostname }) => hostname,
  pgpool_port: ({ pgpoolPort }) => pgpoolPort,
  wd_port: ({ wdPort }) => wdPort,
  heartbeat_device: ({ heartbeats }) => heartbeats.map(({ device }) => device).join(";"),
  heartbeat_hostname: ({ heartbeats }) => heartbeats.map(({ hostname }) => hostname).join(";"),
  heartbeat_port: ({ heartbeats }) => heartbeats[0]?.port ?? 0,
};
