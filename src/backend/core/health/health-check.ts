/**
 * The health check of one backend: when to ask, how often to ask again, what to make of it.
 *
 *     waiting ──due──> asking ──answered──> waiting
 *        ^               │ failed, attempts left
 *        │               └──> retrying ──due──> asking
 *        └── failed for good: reported
 *
 * Source: Pgpool-II 4.7 manual, health_check_*; log lines as seen on 4.3.5.
 */
import { unreachable, type Core, type Ms, type Step } from "../../../base/index.ts";

export interface HealthSettings {
  readonly backendId: number;
  readonly hostname: string;
  readonly port: number;
  /** 0 = never. */
  readonly periodMs: Ms;
  /** Further attempts after a failed one. */
  readonly retriesMax: number;
  readonly retryDelayMs: Ms;
  readonly mayFailover: boolean;
}

export type CheckFailure =
  "timeout" | "refused" | "closed" | "name-resolution" | "auth" | "too-many-connections" | "other";

export type HealthEvent =
  | { readonly type: "check-succeeded" }
  | { readonly type: "check-failed"; readonly cause: CheckFailure; readonly message: string }
  /** What this node holds of the backend: only live and quarantined ones can be reported. */
  | { readonly type: "view-changed"; readonly standing: Standing }
  /** Somebody saw an error: look now rather than at the end of the period. */
  | { readonly type: "hurried" }
  | { readonly type: "configured"; readonly settings: HealthSettings }
  | { readonly type: "tick" };

export type Standing = "live" | "quarantined" | "down";

export type HealthAction =
  | { readonly type: "start-check" }
  /** After each check: what the administrator is shown as pg_status. */
  | { readonly type: "show"; readonly pgStatus: "up" | "down" }
  | { readonly type: "report-down"; readonly reason: string; readonly isTimeout: boolean }
  /** A quarantined backend answers again. */
  | { readonly type: "report-recovered" }
  | {
      readonly type: "log";
      readonly level: "log" | "warning";
      readonly message: string;
      readonly detail?: string;
      readonly hint?: string;
    };

export interface HealthState {
  readonly settings: HealthSettings;
  readonly standing: Standing;
  readonly phase: "waiting" | "asking" | "retrying";
  /** Failed attempts since the last success or report. */
  readonly failedCount: number;
  /** Of the next attempt; meaningless while asking. */
  readonly nextAtMs: Ms;
  /** Hurried while asking: ask again right after. */
  readonly isHurried: boolean;
}

/** The first check is due at once. */
export function newHealthCheck(settings: HealthSettings, nowMs: Ms): HealthState {
  return {
    settings,
    standing: "live",
    phase: "waiting",
    failedCount: 0,
    nextAtMs: nowMs,
    isHurried: false,
  };
}

type HealthStep = Step<HealthState, HealthAction>;

export const healthCheck: Core<HealthState, HealthEvent, HealthAction> = {
  step(state, event, nowMs): HealthStep {
    switch (event.type) {
      case "check-succeeded":
        return state.phase === "asking" ? onAlive(state, nowMs) : stay(state);
      case "check-failed":
        if (state.phase !== "asking") return stay(state);
        // A server that is full is a server that lives.
        if (event.cause === "too-many-connections") return onAlive(state, nowMs);
        return onFailed(state, event, nowMs);
      case "view-changed":
        return stay(withStanding(state, event.standing, nowMs));
      case "hurried":
        return onHurried(state, nowMs);
      case "configured":
        return stay({ ...state, settings: event.settings });
      case "tick":
        return onTick(state, nowMs);
    }
    return unreachable(event);
  },

  wakeAtMs({ phase, settings, nextAtMs }): Ms | null {
    return phase === "asking" || settings.periodMs === 0 ? null : nextAtMs;
  },
};

function onTick(state: HealthState, nowMs: Ms): HealthStep {
  const isDue = state.phase !== "asking" && state.settings.periodMs > 0 && nowMs >= state.nextAtMs;
  if (!isDue) return stay(state);
  const { backendId } = state.settings;
  const actions: HealthAction[] = [{ type: "start-check" }];
  if (state.phase === "retrying") {
    const message = `health check retrying on DB node: ${backendId} (round:${state.failedCount})`;
    actions.unshift({ type: "log", level: "log", message });
  }
  return { state: { ...state, phase: "asking" }, actions };
}

function onAlive(state: HealthState, nowMs: Ms): HealthStep {
  const { backendId } = state.settings;
  const actions: HealthAction[] = [{ type: "show", pgStatus: "up" }];
  if (state.failedCount > 0) {
    const message = `health check retrying on DB node: ${backendId} succeeded`;
    actions.push({ type: "log", level: "log", message });
  }
  if (state.standing === "quarantined") actions.push({ type: "report-recovered" });
  return { state: wait(state, nowMs), actions };
}

function onFailed(
  state: HealthState,
  event: Extract<HealthEvent, { readonly type: "check-failed" }>,
  nowMs: Ms,
): HealthStep {
  const { settings, standing } = state;
  const { backendId, hostname, port } = settings;
  const show: HealthAction = { type: "show", pgStatus: "down" };
  // Nobody waits for a server that is down: no retries, no lines.
  if (standing === "down") return { state: wait(state, nowMs), actions: [show] };
  const actions: HealthAction[] = [
    show,
    {
      type: "log",
      level: "log",
      message: `failed to connect to PostgreSQL server on "${hostname}:${port}"`,
      detail: event.message,
      ...(event.cause === "auth" ? { hint: AUTH_HINT } : {}),
    },
  ];
  const failedCount = state.failedCount + 1;
  if (failedCount <= settings.retriesMax) {
    const nextAtMs = nowMs + (state.isHurried ? 0 : settings.retryDelayMs);
    return {
      state: { ...state, phase: "retrying", failedCount, nextAtMs, isHurried: false },
      actions,
    };
  }
  actions.push(...conclude(state, event, backendId));
  return { state: wait(state, nowMs), actions };
}

const AUTH_HINT =
  "Check health_check_user, health_check_password and health_check_database: " +
  "a failed login counts as a failed check.";

/** All attempts have failed. */
function conclude(
  { settings, standing }: HealthState,
  { cause, message }: Extract<HealthEvent, { readonly type: "check-failed" }>,
  backendId: number,
): readonly HealthAction[] {
  const isTimeout = cause === "timeout";
  const flag = `(timeout:${isTimeout ? 1 : 0})`;
  const line = (text: string): HealthAction => ({ type: "log", level: "log", message: text });
  if (standing === "quarantined") {
    return [
      {
        type: "log",
        level: "log",
        message: `health check failed on quarantine node ${backendId} ${flag}`,
        detail: "ignoring..",
      },
    ];
  }
  if (cause === "name-resolution") {
    // The name service is at fault, as far as we know: the server may be serving everybody else.
    return [
      {
        type: "log",
        level: "warning",
        message: `health check failed on node ${backendId} but its host name could not be resolved`,
        detail: message,
        hint: `No failover is requested for this. Check the name service, or use an address as backend_hostname${backendId}.`,
      },
    ];
  }
  if (!settings.mayFailover) {
    return [
      line(`health check failed on node ${backendId} but failover is disallowed for the node`),
    ];
  }
  return [
    line(`health check failed on node ${backendId} ${flag}`),
    { type: "report-down", reason: `health check: ${message}`, isTimeout },
  ];
}

/** A change of standing begins anew: what failed before was another story. */
function withStanding(state: HealthState, standing: Standing, nowMs: Ms): HealthState {
  if (standing === state.standing) return state;
  const changed = { ...state, standing, failedCount: 0 };
  if (state.phase !== "retrying") return changed;
  return { ...changed, phase: "waiting", nextAtMs: nowMs + state.settings.periodMs };
}

function onHurried(state: HealthState, nowMs: Ms): HealthStep {
  if (state.phase === "asking") return stay({ ...state, isHurried: true });
  if (state.phase === "retrying") return stay(state);
  return stay({ ...state, nextAtMs: Math.min(state.nextAtMs, nowMs) });
}

function wait(state: HealthState, nowMs: Ms): HealthState {
  const nextAtMs = nowMs + (state.isHurried ? 0 : state.settings.periodMs);
  return { ...state, phase: "waiting", failedCount: 0, nextAtMs, isHurried: false };
}

function stay(state: HealthState): HealthStep {
  return { state, actions: [] };
}
