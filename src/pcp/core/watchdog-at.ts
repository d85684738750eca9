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
  const { knownUntilMs } = view;
  if (knownUntilMs === null || nowMs < knownUntilMs) return view;
  return leaderless(view, nowMs >= knownUntilMs + SILENT_MS ? "RECEIVE TIMEOUT" : null);
}

/**
 * What is left of the last view of a watchdog that has died: its guardian has let the VIP go.
 *
 * @param why it does not run again; null: it is being started.
 */
export function viewOfDeadWatchdog(view: WatchdogView, why: string | null): WatchdogView {
  return {
    ...leaderless(view, "NOT REACHABLE"),
    holdsVip: false,
    guardianPid: null,
    unfit: why ?? view.unfit,
  };
}

/** @param lostSelf why this node's own watchdog counts as lost; null: it does not. */
function leaderless(view: WatchdogView, lostSelf: string | null): WatchdogView {
  return {
    ...view,
    leaderId: null,
    isLeader: false,
    knownUntilMs: null,
    hasQuorum: false,
    quorumStatus: -2,
    // Any fence has closed by now, or is about to; without one the kernel goes on answering.
    holdsVip: view.holdsVip && view.fence === "none",
    nodes: view.nodes.map((node): WatchdogNodeView => {
      if (node.id === view.selfId && lostSelf !== null) {
        return { ...node, state: "LOST", lostReason: lostSelf };
      }
      const isUnsure = node.state === "LEADER" || node.state === "STANDBY";
      return isUnsure ? { ...node, state: "JOINING" } : node;
    }),
  };
}
