/**
 * Which of the other nodes live, judged by their connections and by wd_lifecheck_method: their
 * heartbeats, the answers of their proxies, or what an external program reports. It never elects:
 * consensus has its own rounds, and a verdict of here takes no vote from anybody. What it knows is
 * shown, and written to the log when it changes. No node need have been seen for it to begin.
 */
import type { Ms } from "../../../base/index.ts";
import type { Heartbeat } from "../../../wire/watchdog/index.ts";

export { heartbeatFlaw } from "./heartbeat-flaw.ts";

export type PeerLife = "never-seen" | "alive" | "lost" | "shut-down";

/** Pgpool-II's words for why a node is not there; "" while it is, or was never seen. */
export type LostReason =
  "" | "NOT REACHABLE" | "RECEIVE TIMEOUT" | "REPORTED BY LIFECHECK" | "SHUTDOWN";

export interface Peer {
  readonly id: number;
  /** Follows from what stands below; see `judge`. */
  readonly life: PeerLife;
  readonly lostReason: LostReason;
  /** Learnt from the proven hello; heartbeats of any other start of that node are refused. */
  readonly bootId: string | null;
  readonly counter: number;
  readonly heardAtMs: Ms;
  readonly isConnected: boolean;
  readonly disconnectedBy: "NOT REACHABLE" | "RECEIVE TIMEOUT";
  readonly hasLeft: boolean;
  /** No heartbeat for longer than the dead time. Method `heartbeat` only. */
  readonly isSilent: boolean;
  /** Questions in a row that its proxy did not answer. Method `query` only. */
  readonly failures: number;
  /** An external program says that it is dead, and has not taken it back since. */
  readonly isReportedDead: boolean;
}

export interface LifecheckRules {
  readonly method: "heartbeat" | "query" | "external";
  /** wd_heartbeat_deadtime. */
  readonly deadMs: Ms;
  /** wd_life_point. */
  readonly lifePoints: number;
}

export interface LifecheckState {
  readonly rules: LifecheckRules;
  readonly tickedAtMs: Ms | null;
  readonly peers: readonly Peer[];
}

export type LifecheckEvent =
  | { readonly type: "connected"; readonly id: number; readonly bootId: string }
  /** `isTimeout`: it was given up because nothing came any more. */
  | { readonly type: "disconnected"; readonly id: number; readonly isTimeout?: boolean }
  | { readonly type: "left"; readonly id: number }
  | { readonly type: "heartbeat"; readonly heartbeat: Heartbeat }
  /** Its proxy was asked by SQL. */
  | { readonly type: "proxy-asked"; readonly id: number; readonly isAnswered: boolean }
  /** An external lifecheck says so, as by `wd_cli`, whatever the method. */
  | { readonly type: "reported"; readonly id: number; readonly isAlive: boolean }
  | { readonly type: "tick" };

/** Ticks come every 100 ms; a longer pause than this means that this process did not run. */
const PAUSE_MS: Ms = 1000;

export function startLifecheck(peerIds: readonly number[], rules: LifecheckRules): LifecheckState {
  const peers = peerIds.map((id): Peer => ({
    id,
    life: "never-seen",
    lostReason: "",
    bootId: null,
    counter: 0,
    heardAtMs: 0,
    isConnected: false,
    disconnectedBy: "NOT REACHABLE",
    hasLeft: false,
    isSilent: false,
    failures: 0,
    isReportedDead: false,
  }));
  return { rules, tickedAtMs: null, peers };
}

/**
 * A node lives while it is connected and nothing speaks against it. A heartbeat counts only when
 * it comes from the start of the node that proved itself by its hello and is newer than the last.
 * Time in which this process itself did not run is nobody's silence.
 */
export function stepLifecheck(
  state: LifecheckState,
  event: LifecheckEvent,
  nowMs: Ms,
): LifecheckState {
  const { rules, tickedAtMs } = state;
  const sinceTickMs = tickedAtMs === null ? 0 : nowMs - tickedAtMs;
  const pauseMs = event.type === "tick" && sinceTickMs > PAUSE_MS ? sinceTickMs : 0;
  const peers = state.peers.map((peer) => {
    const shifted = pauseMs === 0 ? peer : { ...peer, heardAtMs: peer.heardAtMs + pauseMs };
    const next = stepPeer(shifted, event, nowMs, rules);
    return next === peer ? peer : { ...next, ...judge(next, rules) };
  });
  const isSame = peers.every((peer, index) => peer === state.peers[index]);
  if (isSame && event.type !== "tick") return state;
  return {
    rules,
    tickedAtMs: event.type === "tick" ? nowMs : tickedAtMs,
    peers: isSame ? state.peers : peers,
  };
}

function stepPeer(peer: Peer, event: LifecheckEvent, nowMs: Ms, rules: LifecheckRules): Peer {
  switch (event.type) {
    case "connected":
      return event.id === peer.id ? onConnected(peer, event.bootId, nowMs) : peer;
    case "disconnected":
      if (event.id !== peer.id || !peer.isConnected) return peer;
      return {
        ...peer,
        isConnected: false,
        disconnectedBy: event.isTimeout === true ? "RECEIVE TIMEOUT" : "NOT REACHABLE",
      };
    case "left":
      return event.id === peer.id ? { ...peer, hasLeft: true } : peer;
    case "heartbeat": {
      const { nodeId, bootId, counter } = event.heartbeat;
      if (nodeId !== peer.id || bootId !== peer.bootId || counter <= peer.counter) return peer;
      return { ...peer, counter, heardAtMs: nowMs, isSilent: false };
    }
    case "proxy-asked": {
      if (event.id !== peer.id) return peer;
      const failures = event.isAnswered ? 0 : Math.min(peer.failures + 1, rules.lifePoints);
      return failures === peer.failures ? peer : { ...peer, failures };
    }
    case "reported":
      if (event.id !== peer.id || peer.isReportedDead === !event.isAlive) return peer;
      return { ...peer, isReportedDead: !event.isAlive };
    case "tick": {
      const isSilent = peer.isConnected && nowMs - peer.heardAtMs > rules.deadMs;
      return !isSilent || peer.isSilent ? peer : { ...peer, isSilent };
    }
  }
}

/** A new start of a node wipes out what was reported of the one before. */
function onConnected(peer: Peer, bootId: string, nowMs: Ms): Peer {
  const isSameStart = bootId === peer.bootId;
  return {
    ...peer,
    bootId,
    counter: isSameStart ? peer.counter : 0,
    heardAtMs: nowMs,
    isConnected: true,
    hasLeft: false,
    isSilent: false,
    failures: isSameStart ? peer.failures : 0,
    isReportedDead: isSameStart && peer.isReportedDead,
  };
}

/**
 * A node that was reported dead stays lost, though it is connected, until it is reported alive or
 * starts anew. Source: Pgpool-II, which shows a node that never came as lost too, once reported.
 */
function judge(peer: Peer, rules: LifecheckRules): Pick<Peer, "life" | "lostReason"> {
  if (peer.hasLeft) return { life: "shut-down", lostReason: "SHUTDOWN" };
  const isDead =
    peer.isReportedDead ||
    (rules.method === "heartbeat" && peer.isSilent) ||
    (rules.method === "query" && peer.bootId !== null && peer.failures >= rules.lifePoints);
  if (isDead && (peer.isConnected || peer.isReportedDead)) {
    return { life: "lost", lostReason: "REPORTED BY LIFECHECK" };
  }
  if (peer.bootId === null) return { life: "never-seen", lostReason: "" };
  if (!peer.isConnected) return { life: "lost", lostReason: peer.disconnectedBy };
  return { life: "alive", lostReason: "" };
}
