import type { Secret } from "../base/index.ts";
import type { ParameterName, ParameterTable } from "./parameters/table.ts";

/** The value of a row, in the row's own unit. */
export type ValueOf<Row> = Row extends { readonly type: "bool" }
  ? boolean
  : Row extends { readonly type: "int" | "double" }
    ? number
    : Row extends { readonly type: "enum"; readonly values: readonly (infer Value)[] }
      ? Value
      : Row extends { readonly type: "list" }
        ? readonly string[]
        : Row extends { readonly type: "secret" }
          ? Secret
          : string;

/** Names that hold a value without a number behind them. */
export type PlainName = {
  [Name in ParameterName]: ParameterTable[Name] extends { readonly plain: true }
    ? Name
    : ParameterTable[Name] extends { readonly slots: string }
      ? never
      : Name;
}[ParameterName];

export type PlainValues = {
  readonly [Name in PlainName]: ValueOf<ParameterTable[Name]>;
};

export type Value = boolean | number | string | readonly string[] | Secret;

/** All that a node was told, checked as a whole. Made by `loadConfig`, never changed. */
export interface Config extends PlainValues {
  /** The servers that are configured, by ascending id. */
  readonly backends: readonly BackendConfig[];
  /** The watchdog nodes that are configured, by ascending id, this one included. */
  readonly nodes: readonly NodeConfig[];
  /** From the file pgpool_node_id; null when there is none and the watchdog is off. */
  readonly nodeId: number | null;
  readonly files: ConfigFiles;
  /** Names that a file sets, as of now (older names translated), numbers included. */
  readonly set: ReadonlySet<string>;
}

/** Absolute paths. */
export interface ConfigFiles {
  readonly config: string;
  /** Directory of `config`; relative names in the configuration start here. */
  readonly directory: string;
  readonly hba: string;
  readonly pcp: string;
  /** Null when pool_passwd is empty. */
  readonly poolPasswd: string | null;
  readonly nodeId: string;
}

export interface BackendConfig {
  readonly id: number;
  /** Host name, address, or the directory of the socket file when it starts with `/`. */
  readonly hostname: string;
  readonly port: number;
  /** As written; shares are relative to the sum. */
  readonly weight: number;
  readonly dataDirectory: string;
  readonly applicationName: string;
  readonly mayFailover: boolean;
  readonly alwaysPrimary: boolean;
  readonly healthCheck: HealthCheckConfig;
}

/** The server's own value or the plain one. */
export interface HealthCheckConfig {
  /** Seconds; 0 switches the check off. */
  readonly period: number;
  /** Seconds; 0 for none. */
  readonly timeout: number;
  readonly user: string;
  readonly password: Secret;
  readonly database: string;
  readonly maxRetries: number;
  /** Seconds. */
  readonly retryDelay: number;
  /** Milliseconds; 0 for none. */
  readonly connectTimeout: number;
}

export interface NodeConfig {
  readonly id: number;
  readonly hostname: string;
  readonly pgpoolPort: number;
  readonly wdPort: number;
  /** Where heartbeats for this node go; empty when it has no heartbeat port. */
  readonly heartbeats: readonly HeartbeatConfig[];
}

export interface HeartbeatConfig {
  readonly hostname: string;
  readonly port: number;
  /** Empty for any device. */
  readonly device: string;
}
