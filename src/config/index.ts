/**
 * pgpool.conf: text in, one checked `Config` out, and everything that is derived from the table of
 * parameters: the sample file, the documentation, SHOW POOL_STATUS, what a reload changes. It reads
 * no file itself (the caller hands in `readText`), logs nothing, and never stops at the first
 * mistake. Read `parameters/parameter.ts` first, then `load.ts`.
 */
export { loadConfig } from "./load.ts";
export type { LoadedConfig, LoadOptions } from "./load.ts";
export type { ReadText } from "./read.ts";
export type {
  BackendConfig,
  Config,
  ConfigFiles,
  HealthCheckConfig,
  HeartbeatConfig,
  NodeConfig,
  PlainName,
  Value,
} from "./config.ts";
export { formatFinding, formatFindings } from "./finding.ts";
export type { Finding } from "./finding.ts";
export { isHostName } from "./addresses.ts";
export { compilePattern } from "./pattern.ts";
export type { Pattern } from "./pattern.ts";
export { readRedirects } from "./redirects.ts";
export type { Redirect } from "./redirects.ts";
export { readRelationships } from "./relationships.ts";
export type { Relationship } from "./relationships.ts";
export { poolModeOf } from "./pool-modes.ts";
export type { PoolMode } from "./pool-modes.ts";
export { PARAMETERS } from "./parameters/table.ts";
export type { Parameter, ParameterName } from "./parameters/table.ts";
export { notActingYet, withoutMeaning } from "./inactive.ts";
export { settingText } from "./setting-text.ts";
export { reloadChanges } from "./reload.ts";
export type { ReloadChanges } from "./reload.ts";
export {
  changeForSession,
  changedForSession,
  isParameterGroup,
  showParameter,
} from "./show-parameter.ts";
export type { ParameterFault, ShownParameter } from "./show-parameter.ts";
export { liveBackends, showPoolStatus } from "./show.ts";
export type { LiveStatus, StatusRow } from "./show.ts";
export { parametersMarkdown, sampleConfig } from "./documents.ts";
