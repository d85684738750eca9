/**
 * The health check of one backend, joined to its connections. The connection of the last check that
 * succeeded stays open until the next one has: when it ends, the server may be gone, and we look at
 * once. It is the server's kernel that ends it, in milliseconds, also when the server is killed.
 */
import { fail, succeed, type Result, type Secret } from "../../base/index.ts";
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
import type { DownRequests } from "./down-requests.ts";
import { logIn } from "./probe.ts";
import type { ProbeFailure, ServerSession } from "./server-session.ts";

/** What a reload may change. */
export interface HealthParameters {
  readonly backend: BackendConfig;
  /** `health_check_password`, or where it stands instead. */
  readonly password: Secret;
  /** failover_on_backend_error and failover_on_backend_shutdown. */
  readonly isErrorEnough: boolean;
  readonly isShutdownEnough: boolean;
}

export interface HealthCheckerOptions {
  /** Lines come under `health_check<id>`. */
  readonly log: Log;
  /** Null without `health_check_test`. */
  readonly downRequests: DownRequests | null;
  /** All retries have failed. Told again after each period while the backend stays live. */
  readonly onDown: (report: { readonly reason: string; readonly isTimeout: boolean }) => void;
  /** After every check, of backends that are down too. */
  readonly onAnswer: (pgStatus: "up" | "down") => void;
  /** It starts, recovers or stops, and lets nobody in. */
  readonly onNotReady?: () => void;
}

/** The first check starts at once. With a period of 0 there is none. */
export class HealthChecker {
  readonly #options: HealthCheckerOptions;
  readonly #log: Log;
  readonly #runner: CoreRunner<HealthState, HealthEvent, HealthAction>;
  #statistics = NO_CHECKS;
  /** Left open by the last check that succeeded. */
  #session: ServerSession | null = null;
  /** Of the check that runs, with all its attempts. */
  #firstAtMs = 0;
  #attempts = 0;
  #isStopped = false;
  #parameters: HealthParameters;

  constructor(parameters: HealthParameters, options: HealthCheckerOptions) {
    this.#parameters = parameters;
    this.#options = options;
    this.#log = options.log.named(`health_check${parameters.backend.id}`);
    const initial = newHealthCheck(settingsOf(parameters), monotonicNowMs());
    this.#runner = new CoreRunner(healthCheck, initial, {
      perform: (action) => this.#perform(action),
    });
  }

  change(parameters: HealthParameters): void {
    this.#parameters = parameters;
    this.#runner.deliver({ type: "configured", settings: settingsOf(parameters) });
    if (parameters.backend.healthCheck.period === 0) this.#dropSession();
  }

  /** What this node holds of the backend; `live` until told. */
  setStanding(standing: Standing): void {
    this.#runner.deliver({ type: "view-changed", standing });
    // Nothing of ours must keep a server from stopping that somebody works on.
    if (standing === "down") this.#dropSession();
  }

  /** Look now: a session lost its connection, or was told that the server shuts down. */
  hurry(alarm: "lost" | "announced"): void {
    this.#runner.deliver({ type: "hurried", alarm });
  }

  /** Look now: another connection of this node, which waited as the health check's own does, was lost. */
  connectionLost({ cause, message }: ProbeFailure): void {
    this.#runner.deliver({ type: "connection-lost", cause, message, of: "replication check" });
  }

  /** Look now, and report it again if it is still lost. */
  askAnew(): void {
    this.#runner.deliver({ type: "asked-anew" });
  }

  /** What was reported is reported again, if it is still so. */
  leaderChanged(): void {
    this.#runner.deliver({ type: "leader-changed" });
  }

  /** Since its start. */
  get statistics(): HealthStatistics {
    return this.#statistics;
  }

  stop(): void {
    this.#isStopped = true;
    this.#runner.stop();
    this.#dropSession();
  }

  #perform(action: HealthAction): void {
    switch (action.type) {
      case "start-check":
        void this.#check();
        return;
      case "show":
        this.#options.onAnswer(action.pgStatus);
        return;
      case "report-down":
        this.#options.onDown({ reason: action.reason, isTimeout: action.isTimeout });
        return;
      case "log":
        this.#log.write(action.level, action.message, action);
    }
  }

  async #check(): Promise<void> {
    if (this.#attempts === 0) this.#firstAtMs = monotonicNowMs();
    const outcome = await this.#logIn();
    const wasDown = this.#runner.state.standing === "down";
    const isUnused = wasDown || this.#runner.state.settings.periodMs === 0;
    if (this.#isStopped || isUnused) this.#dropSession();
    if (outcome.ok) {
      this.#runner.deliver({ type: "check-succeeded" });
      if (outcome.value !== null) this.#onLost(outcome.value);
    } else {
      const { cause, message } = outcome.error;
      // A server that is to stop when its last client has left must not wait for us.
      if (cause === "not-ready") {
        this.#dropSession();
        this.#options.onNotReady?.();
      }
      this.#runner.deliver({ type: "check-failed", cause, message });
    }
    // A server that is full is a server that lives.
    const isAlive = outcome.ok || outcome.error.cause === "too-many-connections";
    this.#attemptEnded(isAlive, wasDown);
    const isFaked = !outcome.ok && outcome.error === FAKED;
    if (isFaked && this.#runner.state.phase !== "retrying") {
      this.#options.downRequests?.done(this.#parameters.backend.id);
    }
  }

  /**
   * A session that was opened takes the place of the one before. The value tells of one that was
   * lost right then.
   */
  async #logIn(): Promise<Result<ProbeFailure | null, ProbeFailure>> {
    const { backend, password } = this.#parameters;
    if (this.#options.downRequests?.isRequested(backend.id) === true) return fail(FAKED);
    const { healthCheck: parameters, hostname, port } = backend;
    let early: ProbeFailure | null = null;
    let session: ServerSession | null = null;
    const outcome = await logIn(
      {
        hostname,
        port,
        user: parameters.user,
        password,
        database: parameters.database,
        connectTimeoutMs: parameters.connectTimeout,
        timeoutMs: parameters.timeout * 1000,
      },
      (loss) => {
        if (session === null) early = loss;
        else if (session === this.#session) this.#onLost(loss);
      },
    );
    if (!outcome.ok) return outcome;
    this.#dropSession();
    session = outcome.value;
    this.#session = session;
    return succeed(early);
  }

  #onLost({ cause, message }: ProbeFailure): void {
    this.#session = null;
    this.#runner.deliver({ type: "connection-lost", cause, message });
  }

  #dropSession(): void {
    void this.#session?.close();
    this.#session = null;
  }

  #attemptEnded(isAlive: boolean, wasDown: boolean): void {
    this.#attempts += 1;
    const { phase, settings } = this.#runner.state;
    if (!isAlive && phase === "retrying") return;
    const outcome = wasDown ? "skipped" : isAlive ? "succeeded" : "failed";
    this.#statistics = withCheck(this.#statistics, {
      outcome,
      retries: Math.min(this.#attempts - 1, settings.retriesMax),
      durationMs: monotonicNowMs() - this.#firstAtMs,
      endedAt: Date.now(),
    });
    this.#attempts = 0;
  }
}

const FAKED: ProbeFailure = {
  cause: "other",
  message: "the file backend_down_request asks for a failure",
  sqlstate: null,
};

function settingsOf(parameters: HealthParameters): HealthSettings {
  const { backend, isErrorEnough, isShutdownEnough } = parameters;
  const { id, hostname, port, mayFailover, healthCheck: own } = backend;
  return {
    backendId: id,
    hostname,
    port,
    periodMs: own.period * 1000,
    retriesMax: own.maxRetries,
    retryDelayMs: own.retryDelay * 1000,
    mayFailover,
    isErrorEnough,
    isShutdownEnough,
  };
}
