/** What failover needs to know of the configuration; all of it may change at a reload. */
import type { BackendConfig, Config } from "../../../config/index.ts";

export interface FailoverSettings {
  /** By ascending id. */
  readonly backends: readonly FailoverBackend[];
  /** One primary and its standbys; otherwise no primary is looked for. */
  readonly isStreaming: boolean;
  readonly failoverCommand: string;
  readonly failbackCommand: string;
  readonly followPrimaryCommand: string;
  /** Milliseconds; 0 = for ever. */
  readonly searchPrimaryTimeoutMs: number;
  /** `pgpool_compat_version`: 4.3 has log lines without `===`. */
  readonly compatVersion: string;
}

export type FailoverBackend = Pick<
  BackendConfig,
  "id" | "hostname" | "port" | "dataDirectory" | "mayFailover" | "alwaysPrimary"
>;

export function failoverSettings(config: Config): FailoverSettings {
  return {
    backends: config.backends,
    isStreaming: config.backend_clustering_mode === "streaming_replication",
    failoverCommand: config.failover_command,
    failbackCommand: config.failback_command,
    followPrimaryCommand: config.follow_primary_command,
    searchPrimaryTimeoutMs: config.search_primary_node_timeout * 1000,
    compatVersion: config.pgpool_compat_version,
  };
}
