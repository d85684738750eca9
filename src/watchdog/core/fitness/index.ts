/**
 * Whether this node is fit to lead: its network devices have a link, a trusted server answers, its
 * own proxy serves, and nobody outside has reported it dead. A node that is not fit does not end,
 * as one of Pgpool-II would: it gives up leading, says why, and is fit again when the cause is gone.
 */
import type { Ms, Step } from "../../../base/index.ts";

export * from "./links.ts";
export * from "./trusted-servers.ts";

export type UnfitCause = "network" | "trusted-servers" | "reported" | "proxy" | "primary";

export interface Unfit {
  readonly cause: UnfitCause;
  /** As Pgpool-II calls a node in this trouble; null where it has no word for it. */
  readonly state: "LOST" | "IN NETWORK TROUBLE" | null;
  /** A sentence for an administrator. */
  readonly reason: string;
}

export interface FitnessRules {
  readonly selfId: number;
  readonly peerIds: readonly number[];
  /** wd_interval. */
  readonly intervalMs: Ms;
  /** wd_life_point. */
  readonly lifePoints: number;
  /** wd_lifecheck_method is `query`. */
  readonly asksProxies: boolean;
  readonly trustedServers: readonly string[];
  /** wd_monitoring_interfaces_list; empty: links are not watched. */
  readonly watchedLinks: readonly string[];
}

interface Proxy {
  readonly id: number;
  /** A question is under way. */
  readonly isAsked: boolean;
  /** Its last answer; false before the first. */
  readonly isAnswering: boolean;
  readonly failures: number;
}

export interface FitnessState {
  readonly rules: FitnessRules;
  readonly roundAtMs: Ms;
  /** This node's own first. */
  readonly proxies: readonly Proxy[];
  readonly isTestingServers: boolean;
  readonly areServersLost: boolean;
  /** As last seen; `isLinkLost` follows when it has stayed so for `LINK_SETTLE_MS`. */
  readonly hasLink: boolean;
  readonly linkChangedAtMs: Ms;
  readonly isLinkLost: boolean;
  readonly isReportedDead: boolean;
  /** What the supervisor says of it. */
  readonly trouble: string | null;
  readonly unfit: Unfit | null;
}

export type FitnessEvent =
  | { readonly type: "tick" }
  | { readonly type: "proxy-asked"; readonly id: number; readonly isAnswered: boolean }
  /** `unknown`: the command could not be run, which says nothing of the servers. */
  | {
      readonly type: "servers-tested";
      readonly outcome: "reachable" | "unreachable" | "unknown";
    }
  | { readonly type: "links-seen"; readonly hasLink: boolean }
  | { readonly type: "reported"; readonly isAlive: boolean }
  /** The supervisor cannot reach the primary, or can again. */
  | { readonly type: "supervised"; readonly trouble: string | null };

export type FitnessAction =
  | { readonly type: "ask-proxy"; readonly id: number }
  | { readonly type: "test-servers" }
  | { readonly type: "change-fitness"; readonly unfit: Unfit | null };

/** A link that flaps for less than this changes nothing, in either direction. */
export const LINK_SETTLE_MS: Ms = 1000;

export function startFitness(rules: FitnessRules, nowMs: Ms): FitnessState {
  const ids = rules.asksProxies ? [rules.selfId, ...rules.peerIds] : [];
  return {
    rules,
    roundAtMs: nowMs + rules.intervalMs,
    proxies: ids.map((id) => ({ id, isAsked: false, isAnswering: false, failures: 0 })),
    isTestingServers: false,
    areServersLost: false,
    hasLink: true,
    linkChangedAtMs: nowMs,
    isLinkLost: false,
    isReportedDead: false,
    trouble: null,
    unfit: null,
  };
}

export function stepFitness(
  state: FitnessState,
  event: FitnessEvent,
  nowMs: Ms,
): Step<FitnessState, FitnessAction> {
  const noted = note(state, event, nowMs);
  const settled = settleLink(noted, nowMs);
  const round = nowMs >= settled.roundAtMs ? startRound(settled, nowMs) : still(settled);
  const unfit = judge(round.state);
  const { unfit: before } = round.state;
  if (unfit?.cause === before?.cause && unfit?.reason === before?.reason) return round;
  return {
    state: { ...round.state, unfit },
    actions: [...round.actions, { type: "change-fitness", unfit }],
  };
}

export function fitnessWakeAtMs(state: FitnessState): Ms | null {
  const { rules, roundAtMs } = state;
  const hasRounds = rules.asksProxies || rules.trustedServers.length > 0;
  const isSettled = state.hasLink !== state.isLinkLost;
  const settleAtMs = isSettled ? Infinity : state.linkChangedAtMs + LINK_SETTLE_MS;
  const wakeAtMs = Math.min(hasRounds ? roundAtMs : Infinity, settleAtMs);
  return wakeAtMs === Infinity ? null : wakeAtMs;
}

/** The core as the loop that runs it wants it. */
export const fitness = { step: stepFitness, wakeAtMs: fitnessWakeAtMs };

function still(state: FitnessState): Step<FitnessState, FitnessAction> {
  return { state, actions: [] };
}

function note(state: FitnessState, event: FitnessEvent, nowMs: Ms): FitnessState {
  switch (event.type) {
    case "tick":
      return state;
    case "proxy-asked": {
      const { lifePoints } = state.rules;
      const proxies = state.proxies.map((proxy) => {
        if (proxy.id !== event.id) return proxy;
        const failures = event.isAnswered ? 0 : Math.min(proxy.failures + 1, lifePoints);
        return { ...proxy, isAsked: false, isAnswering: event.isAnswered, failures };
      });
      return { ...state, proxies };
    }
    case "servers-tested": {
      const { outcome } = event;
      const areServersLost =
        outcome === "unknown" ? state.areServersLost : outcome === "unreachable";
      return { ...state, isTestingServers: false, areServersLost };
    }
    case "links-seen":
      if (event.hasLink === state.hasLink) return state;
      return { ...state, hasLink: event.hasLink, linkChangedAtMs: nowMs };
    case "reported":
      return { ...state, isReportedDead: !event.isAlive };
    case "supervised":
      return { ...state, trouble: event.trouble };
  }
}

function settleLink(state: FitnessState, nowMs: Ms): FitnessState {
  if (nowMs < state.linkChangedAtMs + LINK_SETTLE_MS) return state;
  return state.isLinkLost === !state.hasLink ? state : { ...state, isLinkLost: !state.hasLink };
}

/** What still runs from the round before is not started a second time. */
function startRound(state: FitnessState, nowMs: Ms): Step<FitnessState, FitnessAction> {
  const due = state.proxies.filter((proxy) => !proxy.isAsked);
  const testsServers = state.rules.trustedServers.length > 0 && !state.isTestingServers;
  const actions: FitnessAction[] = due.map(({ id }) => ({ type: "ask-proxy", id }));
  if (testsServers) actions.push({ type: "test-servers" });
  return {
    state: {
      ...state,
      roundAtMs: nowMs + state.rules.intervalMs,
      proxies: state.proxies.map((proxy) => ({ ...proxy, isAsked: true })),
      isTestingServers: state.isTestingServers || testsServers,
    },
    actions,
  };
}

function judge(state: FitnessState): Unfit | null {
  const { rules } = state;
  if (rules.watchedLinks.length > 0 && state.isLinkLost) {
    const list = rules.watchedLinks.join(", ");
    return {
      cause: "network",
      state: "IN NETWORK TROUBLE",
      reason: `no network device of wd_monitoring_interfaces_list (${list}) has a link`,
    };
  }
  if (state.areServersLost) {
    const list = rules.trustedServers.join(", ");
    return {
      cause: "trusted-servers",
      state: "LOST",
      reason: `none of the trusted_servers (${list}) can be reached from here`,
    };
  }
  if (state.isReportedDead) {
    return {
      cause: "reported",
      state: "LOST",
      reason: "an external lifecheck reports this node dead",
    };
  }
  if (state.trouble !== null) return { cause: "primary", state: null, reason: state.trouble };
  return judgeProxy(state);
}

/**
 * With PostgreSQL down no proxy answers, and then nobody else would lead better: somebody must go
 * on leading, or no failover could mend it. So the others' proxies must answer where the own fails.
 */
function judgeProxy(state: FitnessState): Unfit | null {
  const [own, ...others] = state.proxies;
  if (own === undefined || own.failures < state.rules.lifePoints) return null;
  if (!others.some(({ isAnswering }) => isAnswering)) return null;
  return {
    cause: "proxy",
    state: "LOST",
    reason: "this node's own proxy does not answer wd_lifecheck_query, another node's does",
  };
}
