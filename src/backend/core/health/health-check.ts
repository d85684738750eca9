/**
 * The health check of one backend: when to ask, how often to ask again, what to make of it.
 *
 *     waiting ──due, alarmed──> asking ──answered──> waiting
 *        ^                        │ failed, attempts left
 *        │                        └──> retrying ──due──> asking
 *        └── failed for good: reported
 *
 * Retries are for doubt. A connection that broke (an alarm) makes us look at once, and when nobody
 * listens there any more the server is gone without doubt. A look that fails in any other way counts
 * for nothing by itself: the attempts that were configured follow it, at their distance, so that a
 * server which is merely restarted is not lost by being watched closely.
 *
 * Source: Pgpool-II 4.7 manual, health_check_*, failover_on_backend_*; log lines as seen on 4.3.5.
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
  /** failover_on_backend_error: broken connections and nobody who listens are enough. */
  readonly isErrorEnough: boolean;
  /** failover_on_backend_shutdown: a server that says it stops, and does not answer, is enough. */
  readonly isShutdownEnough: boolean;
}

export type CheckFailure =
  | "timeout"
  /** Nobody listens there. */
  | "refused"
  | "unreachable"
  | "closed"
  /** It says that it starts, recovers or stops. */
  | "not-ready"
  | "name-resolution"
  | "auth"
  | "too-many-connections"
  /** It says that somebody stops it, or ends this connection. */
  | "shutdown"
  | "other";

/** What connections told of the server since it last let us in. */
export type Alarm = "none" | "lost" | "announced";

export type HealthEvent =
  | { readonly type: "check-succeeded" }
  | { readonly type: "check-failed"; readonly cause: CheckFailure; readonly message: string }
  /** What this node holds of the backend: only live and quarantined ones can be reported. */
  | { readonly type: "view-changed"; readonly standing: Standing }
  /** A client's session lost its connection, or got none: look now rather than at the period's end. */
  | { readonly type: "hurried"; readonly alarm: "lost" | "announced" }
  /** The cluster is to be asked anew about a server that was reported. */
  | { readonly type: "asked-anew" }
  /** Another node counts the votes: what the one before was told may have gone with it. */
  | { readonly type: "leader-changed" }
  /** The same as `hurried`, of the connection that the last check left open, or one like it. */
  | {
      readonly type: "connection-lost";
      readonly cause: CheckFailure;
      readonly message: string;
      readonly of?: "replication check";
    }
  | { readonly type: "configured"; readonly settings: HealthSettings }
  | { readonly type: "tick" };

export type Standing = "live" | "quarantined" | "down";

export type HealthAction =
  | { readonly type: "start-check" }
  /** After each check: what the administrator is shown as pg_status. */
  | { readonly type: "show"; readonly pgStatus: "up" | "down" }
  | { readonly type: "report-down"; readonly reason: string; readonly isTimeout: boolean }
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
  readonly alarm: Alarm;
  /** The attempt under way was not due: its failure alone counts for nothing. */
  readonly isLook: boolean;
  /** The attempt under way began before the standing changed: its failure is another story. */
  readonly isStale: boolean;
  /** It was reported, and is told again when the next check is due, not for whatever breaks. */
  readonly isReported: boolean;
  /** Of a server that is just going down. */
  readonly glanceCount: number;
  /** Of the last check. */
  readonly endedAtMs: Ms;
}

/** Sessions that lose their connections one after another do not make us look without a pause. */
const HURRY_SPACING_MS: Ms = 50;
/** A dying server's kernel may still accept for a moment: then look again after each of these. */
const GLANCES_MS: readonly Ms[] = [5, 5, 10, 10, 20, 20, 40, 80, 160, 300];

/** The first check is due at once. */
export function newHealthCheck(settings: HealthSettings, nowMs: Ms): HealthState {
  return {
    settings,
    standing: "live",
    phase: "waiting",
    failedCount: 0,
    nextAtMs: nowMs,
    isHurried: false,
    alarm: "none",
    isLook: false,
    isStale: false,
    isReported: false,
    glanceCount: 0,
    endedAtMs: -Infinity,
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
        if (state.isStale) return stay({ ...wait(state, nowMs), nextAtMs: nowMs });
        return onFailed(state, event, nowMs);
      case "view-changed":
        return stay(withStanding(state, event.standing, nowMs));
      case "hurried":
        return onHurried(state, event.alarm, nowMs);
      case "connection-lost":
        return onConnectionLost(state, event, nowMs);
      case "asked-anew":
        return onAskedAnew(state, nowMs);
      case "leader-changed":
        return state.isReported ? onAskedAnew(state, nowMs) : stay(state);
      case "configured":
        return stay(withSettings(state, event.settings, nowMs));
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
  if (state.failedCount > 0) {
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
  return { state: wait({ ...state, alarm: "none", isReported: false }, nowMs), actions };
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
  const { alarm, glanceCount } = state;
  const glanceMs = GLANCES_MS[glanceCount];
  const isDying = alarm === "lost" && event.cause === "closed" && settings.isErrorEnough;
  if (isDying && glanceMs !== undefined) {
    const nextAtMs = nowMs + glanceMs;
    const again = { ...state, phase: "retrying" as const, glanceCount: glanceCount + 1, nextAtMs };
    return { state: { ...again, isHurried: false }, actions: [show] };
  }
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
  // A look that took the whole time out is as good as an attempt.
  const isAttempt = !state.isLook || event.cause === "timeout";
  const failedCount = state.failedCount + (isAttempt ? 1 : 0);
  if (failedCount <= settings.retriesMax && !isGone(state, event.cause)) {
    const nextAtMs = nowMs + settings.retryDelayMs;
    const retrying = { ...state, phase: "retrying" as const, failedCount, nextAtMs };
    return { state: { ...retrying, isHurried: false, isLook: false }, actions };
  }
  actions.push(...conclude(state, event, backendId));
  // Asked a second time the cluster would take this node for the only one in trouble.
  const reported = { ...state, alarm: "none" as const, isHurried: false, isReported: true };
  return { state: wait(reported, nowMs), actions };
}

/** There is no doubt that would have to be removed by asking again. */
function isGone({ alarm, settings }: HealthState, cause: CheckFailure): boolean {
  switch (alarm) {
    case "none":
      return false;
    case "lost":
      return settings.isErrorEnough && cause === "refused";
    case "announced":
      return (
        settings.isShutdownEnough &&
        (cause === "refused" || cause === "closed" || cause === "not-ready")
      );
  }
  return unreachable(alarm);
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
    // The others may see it too by now: they are asked again.
    return [
      {
        type: "log",
        level: "log",
        message: `health check failed on quarantine node ${backendId} ${flag}`,
        detail: "ignoring..",
      },
      { type: "report-down", reason: `health check: ${message}`, isTimeout },
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
  const fresh = { failedCount: 0, alarm: "none", isReported: false } as const;
  const changed = { ...state, standing, ...fresh };
  if (state.phase === "asking") return { ...changed, isStale: standing === "live" };
  if (state.phase === "waiting") return changed;
  return { ...changed, phase: "waiting", nextAtMs: nowMs + state.settings.periodMs };
}

/** A period that was made shorter counts from now on. */
function withSettings(state: HealthState, settings: HealthSettings, nowMs: Ms): HealthState {
  const nextAtMs = Math.min(state.nextAtMs, nowMs + settings.periodMs);
  return { ...state, settings, nextAtMs };
}

function onHurried(state: HealthState, alarm: "lost" | "announced", nowMs: Ms): HealthStep {
  // What breaks because of an announced shutdown tells no more than the announcement did.
  const alarmed = { ...state, alarm: state.alarm === "announced" ? state.alarm : alarm };
  return lookAt(alarmed, Math.max(nowMs, state.endedAtMs + HURRY_SPACING_MS));
}

function onConnectionLost(
  state: HealthState,
  { cause, message, of }: Extract<HealthEvent, { readonly type: "connection-lost" }>,
  nowMs: Ms,
): HealthStep {
  // Nobody wonders about the connections of a server that is down.
  if (state.standing === "down") return stay(state);
  const isAnnounced = cause === "shutdown";
  const alarmed = onHurried(state, isAnnounced ? "announced" : "lost", nowMs).state;
  const { backendId } = state.settings;
  const line: HealthAction = {
    type: "log",
    level: "log",
    message: `the connection of the ${of ?? "health check"} to DB node: ${backendId} was lost`,
    detail: message,
  };
  // It is lost only once, so this cannot use up the distance between retries.
  const isDue = state.phase === "retrying" && !isAnnounced;
  const looking = isDue
    ? { ...alarmed, nextAtMs: nowMs, isLook: true }
    : lookAt(alarmed, nowMs).state;
  return { state: looking, actions: [line] };
}

function onAskedAnew(state: HealthState, nowMs: Ms): HealthStep {
  const asked = { ...state, isReported: false, alarm: "lost" as const };
  return stay({ ...lookAt(asked, nowMs).state, isLook: false });
}

/** Retries keep their distance, whoever is in a hurry. */
function lookAt(state: HealthState, atMs: Ms): HealthStep {
  if (state.isReported) return stay(state);
  if (state.phase === "asking") return stay({ ...state, isHurried: true });
  if (state.phase === "retrying" || atMs >= state.nextAtMs) return stay(state);
  return stay({ ...state, nextAtMs: atMs, isLook: true });
}

function wait(state: HealthState, nowMs: Ms): HealthState {
  const { isHurried, settings } = state;
  return {
    ...state,
    phase: "waiting",
    failedCount: 0,
    nextAtMs: nowMs + (isHurried ? 0 : settings.periodMs),
    isHurried: false,
    isStale: false,
    isLook: isHurried,
    glanceCount: 0,
    endedAtMs: nowMs,
  };
}

function stay(state: HealthState): HealthStep {
  return { state, actions: [] };
}
