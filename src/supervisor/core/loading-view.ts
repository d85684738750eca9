import type { Config } from "../../config/index.ts";
import type { WatchdogView } from "../../wire/ipc/index.ts";

/** What is shown before the watchdog has said its first word: nobody is known, nothing is held. */
export function loadingView(config: Config): WatchdogView {
  const selfId = config.nodeId ?? 0;
  const own = config.nodes.filter(({ id }) => id === selfId);
  const others = config.nodes.filter(({ id }) => id !== selfId);
  return {
    selfId,
    term: 0,
    leaderId: null,
    isLeader: false,
    knownUntilMs: null,
    hasQuorum: false,
    quorumStatus: -2,
    holdsVip: false,
    vip: config.delegate_ip === "" ? null : config.delegate_ip,
    fence: "none",
    fenceReason: "not tried yet",
    leaseGuarantee: !config.enable_consensus_with_half_votes,
    mute: null,
    conflict: null,
    unfit: null,
    members: config.nodes.map(({ id }) => id),
    memberCount: config.nodes.length,
    aliveRemoteCount: 0,
    neededForQuorum: Math.floor(config.nodes.length / 2) + 1,
    guardianPid: null,
    differences: [],
    nodes: [...own, ...others].map(({ id, hostname, pgpoolPort, wdPort }) => ({
      id,
      name: `${hostname}:${pgpoolPort} Unknown`,
      hostname,
      pgpoolPort,
      wdPort,
      state: id === selfId ? ("LOADING" as const) : ("DEAD" as const),
      priority: id === selfId ? config.wd_priority : 1,
      membership: "MEMBER" as const,
      lostReason: "",
    })),
  };
}
