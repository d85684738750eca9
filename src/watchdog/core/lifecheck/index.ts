/**
 * Which of the other nodes live, judged by their heartbeats and connections. It never elects:
 * consensus has its own rounds. What it knows is shown, and written to the log when it changes.
 */
import type { Ms } from "../../../base/index.ts";
import type { Heartbeat } from "../../../wire/watchdog/index.ts";

export type PeerLife = "never-seen" | "alive" | "lost" | "shut-down";

export interface Peer {
  readonly id: number;
  readonly life: PeerLife;
  /** Learnt from the proven hello; heartbeats of any other start of that node are refused. */
  readonly bootId: string | null;
  readonly counter: number;
  readonly heardAtMs: Ms;
  readonly isConnected: boolean;
}

export interface LifecheckState {
  readonly deadMs: Ms;
  readonly peers: readonly Peer[];
}

export type LifecheckEvent =
  | { readonly type: "connected"; readonly id: number; readonly bootId: string }
  | { readonly type: "disconnected"; readonly id: number }
  | { readonly type: "left"; readonly id: number }
  | { readonly type: "heartbeat"; readonly heartbeat: Heartbeat }
  | { readonly type: "tick" };

/** @param deadMs wd_heartbeat_deadtime in milliseconds. */
export function startLifecheck(peerIds: readonly number[], deadMs: Ms): LifecheckState {
  const peers = peerIds.map((id): Peer => ({
    id,
    life: "never-seen",
    bootId: null,
    counter: 0,
    heardAtMs: 0,
    isConnected: false,
  }));
  return { deadMs, peers };
}

/**
 * A node lives while it is connected and was heard within `deadMs`. A heartbeat counts only when
 * it comes from the start of the node that proved itself by its hello and is newer than the last.
 */
export function stepLifecheck(
  state: LifecheckState,
  event: LifecheckEvent,
  nowMs: Ms,
): LifecheckState {
  const peers = state.peers.map((peer) => stepPeer(peer, event, nowMs, state.deadMs));
  const isSame = peers.every((peer, index) => peer === state.peers[index]);
  return isSame ? state : { ...state, peers };
}

function stepPeer(peer: Peer, event: LifecheckEvent, nowMs: Ms, deadMs: Ms): Peer {
  switch (event.type) {
    case "connected":
      if (event.id !== peer.id) return peer;
      return {
        ...peer,
        life: "alive",
        bootId: event.bootId,
        counter: event.bootId === peer.bootId ? peer.counter : 0,
        heardAtMs: nowMs,
        isConnected: true,
      };
    case "disconnected":
      if (event.id !== peer.id || !peer.isConnected) return peer;
      return { ...peer, isConnected: false, life: peer.life === "alive" ? "lost" : peer.life };
    case "left":
      return event.id === peer.id ? { ...peer, life: "shut-down" } : peer;
    case "heartbeat": {
      const { nodeId, bootId, counter } = event.heartbeat;
      if (nodeId !== peer.id || bootId !== peer.bootId || counter <= peer.counter) return peer;
      const life = peer.isConnected && peer.life === "lost" ? "alive" : peer.life;
      return { ...peer, life, counter, heardAtMs: nowMs };
    }
    case "tick": {
      const isSilent = peer.life === "alive" && nowMs - peer.heardAtMs > deadMs;
      return isSilent ? { ...peer, life: "lost" } : peer;
    }
  }
}
