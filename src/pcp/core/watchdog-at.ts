import type { Ms } from "../../base/index.ts";
import type { WatchdogNodeView, WatchdogView } from "../../wire/ipc/index.ts";

/** A watchdog looks ten times a second; one that says nothing for so long does not run. */
const SILENT_MS: Ms = 1000;

/**
 * What may still be said of the last view at this moment. A watchdog that is frozen or has died
 * sends no newer one, and would otherwise be shown as the leader while another node leads.
 *
 * @param nowMs of CLOCK_MONOTONIC, as in the view.
 */
export function watchdogViewAt(view: WatchdogView, nowMs: Ms): WatchdogView {
  const { knownUntilMs, selfId } = view;
  if (knownUntilMs === null || nowMs < knownUntilMs) return view;
  const isSilent = nowMs >= knownUntilMs + SILENT_MS;
  return {
    ...view,
    leaderId: null,
    isLeader: false,
    knownUntilMs: null,
    hasQuorum: false,
    quorumStatus: -2,
    // Any fence has closed by now, or is about to; without one the kernel goes on answering.
    holdsVip: view.holdsVip && view.fence === "none",
    nodes: view.nodes.map((node) => withoutLeader(node, isSilent && node.id === selfId)),
  };
}

function withoutLeader(node: WatchdogNodeView, isSilentSelf: boolean): WatchdogNodeView {
  if (node.state !== "LEADER" && node.state !== "STANDBY") return node;
  if (isSilentSelf) return { ...node, state: "LOST", lostReason: "RECEIVE TIMEOUT" };
  return { ...node, state: "JOINING" };
}
