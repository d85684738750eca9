/**
 * Failover, failback and promotion: what a request changes (`plan-failover.ts`) and how it is
 * carried out step by step (`conductor.ts`). It runs no command and asks no server itself. Read
 * `conductor.ts` first.
 */
export { conductor } from "./conductor.ts";
export { newConductor } from "./conductor-state.ts";
export type { CommandEnv, ConductorAction, ConductorEvent } from "./conductor-events.ts";
export type { ConductorState } from "./conductor-state.ts";
export { LineAllowance } from "./line-allowance.ts";
export { pauseBeforeReady, READY_AFTER_MS } from "./ready-pause.ts";
export { planRecovery, RECOVERY_GRACE_MS } from "./recovery.ts";
export { formatCommand, mayAskFor, type CommandFacts } from "./command-text.ts";
export { switchoverNews } from "./switchover-news.ts";
export { failoverSettings } from "./settings.ts";
export type { FailoverBackend, FailoverSettings } from "./settings.ts";
