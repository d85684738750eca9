/**
 * Which of the configured nodes should count as members: Pgpool-II's removal of nodes that were
 * shut down, are lost, or never came. It only wishes: consensus changes the list by one node at a
 * time, and only when majorities of the list before and of the list after agree. So, other than
 * with Pgpool-II, a leader that has lost the majority cannot get it back by removing nodes.
 */
import type { Ms } from "../../base/index.ts";
import type { Config } from "../../config/index.ts";
import type { WatchdogMembership } from "../../wire/ipc/index.ts";
import type { PeerLife } from "./lifecheck/index.ts";

export interface RemovalPolicy {
  /** wd_remove_shutdown_nodes. */
  readonly removesShutDown: boolean;
  /** wd_lost_node_removal_timeout; null: never. */
  readonly lostMs: Ms | null;
  /** wd_no_show_node_removal_timeout; null: never. */
  readonly noShowMs: Ms | null;
}

export function removalPolicyOf(config: Config): RemovalPolicy {
  const { wd_lost_node_removal_timeout: lost, wd_no_show_node_removal_timeout: noShow } = config;
  return {
    removesShutDown: config.wd_remove_shutdown_nodes,
    lostMs: lost === 0 ? null : lost * 1000,
    noShowMs: noShow === 0 ? null : noShow * 1000,
  };
}

/** What lifecheck says of another node, and since when, as this process has seen it. */
export interface NodeLife {
  readonly id: number;
  readonly life: PeerLife;
  readonly sinceMs: Ms;
}

/** Carries the since-times on; those whose life has not changed keep theirs. */
export function followLives(
  before: readonly NodeLife[],
  peers: readonly { readonly id: number; readonly life: PeerLife }[],
  nowMs: Ms,
): readonly NodeLife[] {
  return peers.map(({ id, life }) => {
    const known = before.find((other) => other.id === id);
    return known?.life === life ? known : { id, life, sinceMs: nowMs };
  });
}

/**
 * The list that should come next, ascending: `members` itself, or with one node more or less. A
 * node that is seen again comes back before any other is removed. Asked again after each change.
 *
 * @param members who counts now, this node (the leader) included.
 * @param lives of all other configured nodes, members or not.
 */
export function membersWanted(
  policy: RemovalPolicy,
  members: readonly number[],
  lives: readonly NodeLife[],
  nowMs: Ms,
): readonly number[] {
  const back = lives.find(({ id, life }) => life === "alive" && !members.includes(id));
  if (back !== undefined) return [...members, back.id].sort((a, b) => a - b);
  const due = lives
    .filter((node) => members.includes(node.id) && nowMs >= removeAtMs(policy, node))
    .sort((a, b) => removeAtMs(policy, a) - removeAtMs(policy, b) || a.id - b.id)[0];
  if (due === undefined || !hasMajority(members, lives)) return members;
  return members.filter((id) => id !== due.id);
}

/** How `pcp_watchdog_info` says why a node does not count. */
export function membershipOf(isMember: boolean, life: PeerLife): WatchdogMembership {
  if (isMember) return "MEMBER";
  if (life === "shut-down") return "REVOKED-SHUTDOWN";
  return life === "never-seen" ? "REVOKED-NO-SHOW" : "REVOKED-LOST";
}

function removeAtMs(policy: RemovalPolicy, { life, sinceMs }: NodeLife): Ms {
  switch (life) {
    case "alive":
      return Infinity;
    case "shut-down":
      return policy.removesShutDown ? sinceMs : Infinity;
    case "lost":
      return sinceMs + (policy.lostMs ?? Infinity);
    case "never-seen":
      return sinceMs + (policy.noShowMs ?? Infinity);
  }
}

/** Without it the change could not be agreed on, and would keep others from being made. */
function hasMajority(members: readonly number[], lives: readonly NodeLife[]): boolean {
  const absent = lives.filter(({ id, life }) => members.includes(id) && life !== "alive");
  return (members.length - absent.length) * 2 > members.length;
}
