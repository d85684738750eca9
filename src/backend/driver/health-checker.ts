/** The health check of one backend, joined to its probe. */
import type { Secret } from "../../base/index.ts";
import type { BackendConfig } from "../../config/index.ts";
import { NO_CHECKS } from "../../wire/ipc/index.ts";
import { CoreRunner, monotonicNowMs, type Log } from "../../os/index.ts";
import {
  healthCheck,
  newHealthCheck,
  withCheck,
  type HealthAction,
  type HealthEvent,
  type HealthSettings,
  type HealthState,
  type HealthStatistics,
  type Standing,
} from "../core/health/index.ts";
import { probeBackend } from "./probe.ts";

export interface HealthCheckerOptions {
  readonly backend: BackendConfig;
  /** Lines come under `health_check<id>`. */
  readonly log: Log;
  /** All retries have failed. Told again after each period while the backend stays live. */
  readonly onDown: (report: { readonly reason: string; readonly isTimeout: boolean }) => void;
  /** A quarantined backend answers again. */
  readonly onRecovered: () => void;
  /** After every check, of backends that are down too. */
  readonly onAnswer: (pgStatus: "up" | "down") => void;
  /** Instead of `health_check_password`, for one that stands elsewhere. */
  readonly password?: Secret;
}

export interface HealthChecker {
  /** What this node holds of the backend; `live` until told. */
  setStanding(standing: Standing): void;
  /** Look now: somebody saw an error. */
  hurry(): void;
  /** Since its start. */
  readonly statistics: HealthStatistics;
  change(backend: BackendConfig, password?: Secret): void;
  stop(): void;
}

/** The first check starts at once. With a period of 0 there is none. */
export function startHealthChecker(options: HealthCheckerOptions): HealthChecker {
  let { backend, password } = options;
  const log = options.log.named(`health_check${backend.id}`);
  let statistics = NO_CHECKS;
  /** Of the check that runs, with all its attempts. */
  let firstAtMs = 0;
  let attempts = 0;
  const attemptEnded = (isAlive: boolean, wasDown: boolean): void => {
    attempts += 1;
    if (!isAlive && runner.state.phase === "retrying") return;
    const outcome = wasDown ? "skipped" : isAlive ? "succeeded" : "failed";
    const durationMs = monotonicNowMs() - firstAtMs;
    const retries = attempts - 1;
    statistics = withCheck(statistics, { outcome, retries, durationMs, endedAt: Date.now() });
    attempts = 0;
  };
  const check = async (): Promise<void> => {
    if (attempts === 0) firstAtMs = monotonicNowMs();
    const { healthCheck: parameters, hostname, port } = backend;
    const outcome = await probeBackend({
      hostname,
      port,
      user: parameters.user,
      password: password ?? parameters.password,
      database: parameters.database,
      connectTimeoutMs: parameters.connectTimeout,
      timeoutMs: parameters.timeout * 1000,
      ask: "login",
    });
    const wasDown = runner.state.standing === "down";
    if (outcome.ok) runner.deliver({ type: "check-succeeded" });
    else {
      const { cause, message } = outcome.error;
      runner.deliver({ type: "check-failed", cause, message });
    }
    // A server that is full is a server that lives.
    const isAlive = outcome.ok || outcome.error.cause === "too-many-connections";
    attemptEnded(isAlive, wasDown);
  };
  const perform = (action: HealthAction): void => {
    switch (action.type) {
      case "start-check":
        void check();
        return;
      case "show":
        options.onAnswer(action.pgStatus);
        return;
      case "report-down":
        options.onDown({ reason: action.reason, isTimeout: action.isTimeout });
        return;
      case "report-recovered":
        options.onRecovered();
        return;
      case "log":
        log.write(action.level, action.message, action);
    }
  };
  const runner = new CoreRunner<HealthState, HealthEvent, HealthAction>(
    healthCheck,
    newHealthCheck(settingsOf(backend), monotonicNowMs()),
    { perform },
  );
  return {
    setStanding: (standing) => runner.deliver({ type: "view-changed", standing }),
    hurry: () => runner.deliver({ type: "hurried" }),
    get statistics() {
      return statistics;
    },
    change(changed, changedPassword) {
      backend = changed;
      password = changedPassword;
      runner.deliver({ type: "configured", settings: settingsOf(changed) });
    },
    stop: () => runner.stop(),
  };
}

function settingsOf({
  id,
  hostname,
  port,
  mayFailover,
  healthCheck: own,
}: BackendConfig): HealthSettings {
  return {
    backendId: id,
    hostname,
    port,
    periodMs: own.period * 1000,
    retriesMax: own.maxRetries,
    retryDelayMs: own.retryDelay * 1000,
    mayFailover,
  };
}
