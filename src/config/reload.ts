import type { BackendConfig, Config, PlainName, Value } from "./config.ts";
import { plainValue } from "./inactive.ts";
import { findRow, isPlain, PARAMETERS } from "./parameters/table.ts";
import { isSameValue } from "./values.ts";

export interface ReloadChanges {
  /** What holds from now on: the new values, but the old ones where a restart is needed. */
  readonly config: Config;
  /** Changed names that take effect at once, numbers included. */
  readonly applied: readonly string[];
  /** Changed names that wait for a restart. */
  readonly needsRestart: readonly string[];
}

/**
 * Compares two configurations of one node at a reload. A new backend is taken, a changed address
 * or a removal of one is not, and the watchdog's members never change: a majority must not change
 * its meaning because one node read a file before the others.
 */
export function reloadChanges(before: Config, after: Config): ReloadChanges {
  const plain = plainChanges(before, after);
  const backends = backendChanges(before, after);
  const members = memberChanges(before, after);
  // Names of init rows are set or not set as they were when the values in force were read.
  const isKept = (name: string): boolean => PLAIN_INIT_NAMES.has(name);
  const kept = Object.fromEntries(
    [...PLAIN_INIT_NAMES].map((name) => [name, plainValue(before, name)]),
  ) as unknown as Pick<Config, PlainName>;
  return {
    config: {
      ...after,
      ...kept,
      backends: backends.merged,
      nodes: before.nodes,
      nodeId: before.nodeId,
      files: before.files,
      set: new Set([
        ...[...before.set].filter((name) => isKept(name)),
        ...[...after.set].filter((name) => !isKept(name)),
      ]),
    },
    applied: [...plain.filter((name) => !isKept(name)), ...backends.applied],
    needsRestart: [...plain.filter(isKept), ...backends.needsRestart, ...members],
  };
}

const PLAIN_NAMES = PARAMETERS.map(({ name }) => name).filter((name) => {
  const row = findRow(name);
  return row !== null && isPlain(row);
});
const PLAIN_INIT_NAMES: ReadonlySet<string> = new Set(
  PLAIN_NAMES.filter((name) => findRow(name)?.context === "init"),
);

function plainChanges(before: Config, after: Config): readonly string[] {
  return PLAIN_NAMES.filter(
    (name) => !isSameValue(plainValue(before, name), plainValue(after, name)),
  );
}

function backendChanges(
  before: Config,
  after: Config,
): {
  merged: readonly BackendConfig[];
  applied: readonly string[];
  needsRestart: readonly string[];
} {
  const applied: string[] = [];
  const needsRestart: string[] = [];
  const merged: BackendConfig[] = [];
  for (const id of idsOf(before, after)) {
    const old = before.backends.find((backend) => backend.id === id);
    const fresh = after.backends.find((backend) => backend.id === id);
    if (old !== undefined && fresh !== undefined) {
      const fixed = { hostname: old.hostname, port: old.port };
      merged.push({ ...fresh, ...fixed });
      needsRestart.push(
        ...changedNames(old, { ...old, hostname: fresh.hostname, port: fresh.port }),
      );
      const changed = changedNames(old, { ...fresh, ...fixed });
      // A plain name that changed for all servers is told once, under that name.
      const isOwn = (name: string): boolean => before.set.has(name) || after.set.has(name);
      applied.push(...changed.filter(isOwn));
    } else if (fresh !== undefined) {
      merged.push(fresh);
      applied.push(`backend_port${id}`);
    } else if (old !== undefined) {
      merged.push(old);
      needsRestart.push(`backend_port${id}`);
    }
  }
  return { merged, applied, needsRestart };
}

function idsOf(before: Config, after: Config): readonly number[] {
  const ids = [...before.backends, ...after.backends].map((backend) => backend.id);
  return [...new Set(ids)].sort((left, right) => left - right);
}

function changedNames(old: BackendConfig, fresh: BackendConfig): readonly string[] {
  const left = valuesByName(old);
  const right = valuesByName(fresh);
  return Object.keys(left)
    .filter((name) => !isSameValue(left[name] ?? "", right[name] ?? ""))
    .map((name) => `${name}${old.id}`);
}

function valuesByName(backend: BackendConfig): Readonly<Record<string, Value>> {
  const { healthCheck } = backend;
  return {
    backend_hostname: backend.hostname,
    backend_port: backend.port,
    backend_weight: backend.weight,
    backend_data_directory: backend.dataDirectory,
    backend_application_name: backend.applicationName,
    backend_flag: `${backend.mayFailover} ${backend.alwaysPrimary}`,
    health_check_period: healthCheck.period,
    health_check_timeout: healthCheck.timeout,
    health_check_user: healthCheck.user,
    health_check_password: healthCheck.password,
    health_check_database: healthCheck.database,
    health_check_max_retries: healthCheck.maxRetries,
    health_check_retry_delay: healthCheck.retryDelay,
    connect_timeout: healthCheck.connectTimeout,
  };
}

function memberChanges(before: Config, after: Config): readonly string[] {
  const changes: string[] = [];
  const ids = new Set([...before.nodes, ...after.nodes].map((node) => node.id));
  for (const id of [...ids].sort((left, right) => left - right)) {
    const [old, fresh] = [before, after].map((each) => each.nodes.find((node) => node.id === id));
    const isSame = JSON.stringify(old) === JSON.stringify(fresh);
    if (!isSame) changes.push(`hostname${id}`);
  }
  if (before.nodeId !== after.nodeId) changes.push("pgpool_node_id");
  return changes;
}
