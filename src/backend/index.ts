/**
 * The PostgreSQL servers behind this node: whether they live, which one is the primary, and what
 * is done when one is lost. It knows nothing of clients and votes: the supervisor brings grants
 * and committed states in and takes proposals out. Read `core/status/cluster-state.ts` and
 * `core/failover/conductor.ts` first.
 */
export * from "./core/status/index.ts";
export * from "./core/health/index.ts";
export * from "./core/failover/index.ts";
export * from "./core/replication-delay/index.ts";
export * from "./core/roles/index.ts";
export * from "./core/synchronous/index.ts";
export * from "./core/switchover/index.ts";
export { probeBackend, type ProbeAnswer, type ProbeOptions } from "./driver/probe.ts";
export {
  openServerSession,
  withServerSession,
  type ProbeFailure,
  type ServerAddress,
  type ServerLogin,
  type ServerSession,
} from "./driver/server-session.ts";
export { KeptSessions } from "./driver/kept-sessions.ts";
export { searchPrimary, type SearchOptions } from "./driver/primary-search.ts";
export {
  startReplicationCheck,
  type ReplicationChecker,
  type ReplicationCheckOptions,
} from "./driver/replication-check.ts";
export { DelayCommand, type DelayCommandOptions } from "./driver/delay-command.ts";
export { askBackupProgress } from "./driver/recover-server.ts";
export { lookBeforeSwitchover } from "./driver/switchover-look.ts";
export { ReadyCommands } from "./driver/ready-commands.ts";
export { tryDemoteCommand } from "./driver/demote-command.ts";
export { readStatusFile, statusFilePath, writeStatusFile } from "./driver/status-file.ts";
export { DownRequests } from "./driver/down-requests.ts";
export {
  HealthChecker,
  type HealthCheckerOptions,
  type HealthParameters,
} from "./driver/health-checker.ts";
export {
  startFailoverRunner,
  type FailoverRunner,
  type FailoverRunnerOptions,
  type FailoverRunnerSettings,
} from "./driver/failover-runner.ts";
export { HistoryFile, historyFilePath, readHistoryFile } from "./driver/history-file.ts";
