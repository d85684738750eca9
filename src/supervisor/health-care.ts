/**
 * Part of the supervisor's root: the health checks of all backends, and what clients' sessions tell
 * of them.
 */
import type { Ms } from "../base/index.ts";
import {
  DownRequests,
  HealthChecker,
  probeBackend,
  type HealthParameters,
  type ProbeFailure,
  type Standing,
} from "../backend/index.ts";
import type { BackendConfig, Config } from "../config/index.ts";
import { monotonicNowMs, ownPassword, type Log } from "../os/index.ts";
import type { FromWorker, HealthRow, WatchdogView } from "../wire/ipc/index.ts";

export interface HealthCareOptions {
  readonly config: Config;
  readonly log: Log;
  /** By the newest configuration. */
  readonly onDown: (backend: BackendConfig, reason: string) => void;
  readonly onAnswer: (backendId: number, pgStatus: "up" | "down") => void;
  /** It starts, recovers or stops, and lets nobody in. */
  readonly onNotReady: (backendId: number) => void;
}

type BackendError = FromWorker & { readonly type: "backend-error" };

interface Trouble {
  /** Until then more of it is only counted. */
  readonly quietUntilMs: Ms;
  count: number;
}

/** Thousands of sessions may lose a server at once: one line tells of them, and one of the rest. */
const TROUBLE_QUIET_MS: Ms = 1000;

export class HealthCare {
  readonly #options: HealthCareOptions;
  #config: Config;
  readonly #downRequests: DownRequests | null;
  readonly #checkers = new Map<number, HealthChecker>();
  readonly #troubles = new Map<number, Trouble>();
  /** As far as there was one with a quorum. */
  #leaderId: number | null = null;

  constructor(options: HealthCareOptions) {
    this.#options = options;
    this.#config = options.config;
    const { health_check_test: isTest, work_dir: directory } = options.config;
    this.#downRequests = isTest ? new DownRequests(directory, options.log) : null;
  }

  start(): void {
    this.configure(this.#config);
  }

  /** Checks go on with the new parameters; those of servers that are gone end. */
  configure(config: Config): void {
    this.#config = config;
    const left = new Set(this.#checkers.keys());
    for (const backend of config.backends) {
      left.delete(backend.id);
      const parameters = parametersOf(config, backend);
      const checker = this.#checkers.get(backend.id);
      if (checker === undefined) this.#checkers.set(backend.id, this.#begin(parameters));
      else checker.change(parameters);
    }
    for (const id of left) {
      this.#checkers.get(id)?.stop();
      this.#checkers.delete(id);
    }
  }

  stop(): void {
    for (const checker of this.#checkers.values()) checker.stop();
    this.#checkers.clear();
  }

  setStanding(backendId: number, standing: Standing): void {
    this.#checkers.get(backendId)?.setStanding(standing);
  }

  /** That of the replication check, which ends with the server as the health check's own does. */
  onConnectionLost(backendId: number, failure: ProbeFailure): void {
    this.#checkers.get(backendId)?.connectionLost(failure);
  }

  /** Look now, and report it again if it is still lost. */
  askAnew(backendId: number): void {
    this.#checkers.get(backendId)?.askAnew();
  }

  onWatchdog({ hasQuorum, leaderId }: Pick<WatchdogView, "hasQuorum" | "leaderId">): void {
    if (!hasQuorum || leaderId === null || leaderId === this.#leaderId) return;
    this.#leaderId = leaderId;
    for (const checker of this.#checkers.values()) checker.leaderChanged();
  }

  get rows(): readonly HealthRow[] {
    return [...this.#checkers].map(([backendId, { statistics }]) => ({ backendId, ...statistics }));
  }

  onBackendError({ backendId, cause, message }: BackendError): void {
    const backend = this.#config.backends.find(({ id }) => id === backendId);
    if (backend === undefined) return;
    const isFresh = this.#tellTrouble(backendId, `${cause}: ${message}`);
    // The health check tells a lost connection from a lost server, and looks at once.
    if (backend.healthCheck.period > 0) {
      this.#checkers.get(backendId)?.hurry(cause === "shutdown" ? "announced" : "lost");
      return;
    }
    const { failover_on_backend_error: onError, failover_on_backend_shutdown: onShutdown } =
      this.#config;
    if (!isFresh) return; // A second vote of the same node means that the others do not agree.
    if (cause !== "shutdown") {
      if (onError) this.#options.onDown(backend, message);
    } else if (onShutdown) void this.#askAfterShutdown(backend, message);
  }

  /** An administrator may have ended that one connection: then the server still lets us in. */
  async #askAfterShutdown(backend: BackendConfig, message: string): Promise<void> {
    const { password } = parametersOf(this.#config, backend);
    const { hostname, port, healthCheck: own } = backend;
    const answer = await probeBackend({
      hostname,
      port,
      user: own.user,
      password,
      database: own.database,
      connectTimeoutMs: own.connectTimeout,
      timeoutMs: own.timeout * 1000,
      ask: "login",
    });
    if (!answer.ok) this.#options.onDown(backend, `${message}; then: ${answer.error.message}`);
  }

  #begin(parameters: HealthParameters): HealthChecker {
    const { id } = parameters.backend;
    return new HealthChecker(parameters, {
      log: this.#options.log,
      downRequests: this.#downRequests,
      onDown: ({ reason }) => {
        const backend = this.#config.backends.find((one) => one.id === id);
        if (backend !== undefined) this.#options.onDown(backend, reason);
      },
      onAnswer: (pgStatus) => this.#options.onAnswer(id, pgStatus),
      onNotReady: () => this.#options.onNotReady(id),
    });
  }

  /** False: of the same server something was told a moment ago. */
  #tellTrouble(backendId: number, detail: string): boolean {
    const before = this.#troubles.get(backendId);
    const nowMs = monotonicNowMs();
    if (before !== undefined && nowMs < before.quietUntilMs) {
      before.count += 1;
      return false;
    }
    const more =
      before === undefined || before.count === 0 ? "" : ` (and ${before.count} before it)`;
    const message = `a client session found trouble with backend node ${backendId}${more}`;
    this.#options.log.write("log", message, { detail });
    this.#troubles.set(backendId, { quietUntilMs: nowMs + TROUBLE_QUIET_MS, count: 0 });
    return true;
  }
}

function parametersOf(config: Config, backend: BackendConfig): HealthParameters {
  const { user, password } = backend.healthCheck;
  return {
    backend,
    password: ownPassword(config, user, password),
    isErrorEnough: config.failover_on_backend_error,
    isShutdownEnough: config.failover_on_backend_shutdown,
  };
}
