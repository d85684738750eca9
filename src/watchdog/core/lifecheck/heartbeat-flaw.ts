import type { Ms } from "../../../base/index.ts";
import type { Heartbeat } from "../../../wire/watchdog/index.ts";
import type { LifecheckState } from "./index.ts";

/** A node with several heartbeat addresses is heard several times within this. */
const SAME_BEAT_MS: Ms = 1000;

/**
 * What is wrong with a heartbeat whose keyed hash fits; null when it counts, came twice, or is
 * from a start of its node that has yet to prove itself. What has a flaw changes nothing.
 */
export function heartbeatFlaw(
  state: LifecheckState,
  { nodeId, bootId, counter }: Heartbeat,
  nowMs: Ms,
): string | null {
  const peer = state.peers.find(({ id }) => id === nodeId);
  if (peer === undefined) return `it names node ${nodeId}, which is no other member: reflected`;
  if (peer.bootId !== bootId) {
    return peer.isConnected
      ? `it is from another start of node ${nodeId} than the one that is connected: replayed`
      : null;
  }
  const isSameBeat = counter === peer.counter && nowMs - peer.heardAtMs <= SAME_BEAT_MS;
  if (counter > peer.counter || isSameBeat) return null;
  return `its number ${counter} of node ${nodeId} was overtaken by ${peer.counter}: replayed`;
}
