/** What failover needs to know of the configuration; all of it may change at a reload. */
import type { Ms } from "../../../base/index.ts";
import type { BackendConfig, Config } from "../../../config/index.ts";

export interface FailoverSettings {
  /** By ascending id. */
  readonly backends: readonly FailoverBackend[];
  /** One primary and its standbys; otherwise no primary is looked for. */
  readonly isStreaming: boolean;
  readonly failoverCommand: string;
  readonly failbackCommand: string;
  readonly followPrimaryCommand: string;
  readonly demoteCommand: string;
  /** Of failover_command and failback_command; 0 = none. */
  readonly commandTimeoutMs: Ms;
  /** Of follow_primary_command; 0 = none. */
  readonly followTimeoutMs: Ms;
  /** How often a failover_command that was to replace the primary is run again. */
  readonly commandRetriesMax: number;
  /** Who takes over from a lost primary: the lowest live node, or the most advanced. */
  readonly candidate: "id" | "lsn";
  /** So long a choice that is in doubt waits for better knowledge. */
  readonly candidateTimeoutMs: Ms;
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
    demoteCommand: config.demote_command,
    commandTimeoutMs: config.failover_command_timeout * 1000,
    followTimeoutMs: config.follow_primary_command_timeout * 1000,
    commandRetriesMax: config.failover_command_retries,
    candidate: config.failover_candidate,
    candidateTimeoutMs: config.failover_candidate_timeout,
    searchPrimaryTimeoutMs: config.search_primary_node_timeout * 1000,
    compatVersion: config.pgpool_compat_version,
  };
}
