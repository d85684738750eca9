/**
 * Part of the supervisor's root: looks whether a switchover can be done now, as this node sees the
 * cluster and reaches its servers.
 */
import {
  checkSwitchover,
  chooseTarget,
  failoverSettings,
  lookBeforeSwitchover,
  tryDemoteCommand,
  type ServerLogin,
  type SwitchoverClusterFacts,
} from "../backend/index.ts";
import type { Config } from "../config/index.ts";
import { programProblem } from "../os/index.ts";
import type {
  ClusterRequest,
  ClusterView,
  NodeStatus,
  SwitchoverReport,
  SwitchoverWish,
  WatchdogView,
} from "../wire/ipc/index.ts";

export interface SwitchoverQuestion {
  readonly config: Config;
  readonly view: ClusterView;
  readonly cluster: NonNullable<NodeStatus["cluster"]>;
  /** As it is at this moment; null without a watchdog. */
  readonly watchdog: WatchdogView | null;
  /** `sr_check_user` and its kin. */
  readonly login: ServerLogin;
  /** What demote_command is run for; `prepare` makes the old primary write a checkpoint. */
  readonly tries: "check" | "prepare";
  /** Null: the best standby. */
  readonly to: number | null;
}

/** Changes nothing; without a checkpoint it takes some seconds at most. */
export async function reportOnSwitchover(question: SwitchoverQuestion): Promise<SwitchoverReport> {
  const { config, view, login } = question;
  const { primaryId } = view;
  const seen = new Map(view.backends.map((backend) => [backend.id, backend]));
  const backends = config.backends.map((backend) => ({
    ...backend,
    state: stateOf(view, backend.id),
    quarantined: seen.get(backend.id)?.quarantined ?? false,
  }));
  const targetId = question.to ?? chooseTarget(backends, primaryId, seen);
  const find = (id: number | null): (typeof backends)[number] | null =>
    backends.find((backend) => backend.id === id) ?? null;
  const [primary, target] = [find(primaryId), find(targetId)];
  const settings = failoverSettings(config);
  const hasTwo = primary !== null && target !== null && primary !== target;
  const [looked, demote] = await Promise.all([
    lookBeforeSwitchover({
      primary,
      target: primary === target ? null : target,
      login,
      connectTimeoutMs: config.connect_timeout,
    }),
    tryDemoteCommand(
      config.demote_command,
      question.tries,
      hasTwo
        ? {
            backend: primary,
            newMain: target,
            oldMainId: view.backends.find(({ state }) => state !== "down")?.id ?? null,
            oldPrimary: primary,
            oldPrimaryId: primary.id,
          }
        : null,
    ),
  ]);
  const checks = checkSwitchover({
    cluster: clusterFacts(question),
    backends,
    primaryId,
    targetId,
    ...looked,
    commands: {
      hasFailoverCommand: settings.failoverCommand !== "",
      failoverProblem: programProblem(settings.failoverCommand),
      hasFollowCommand: settings.followPrimaryCommand !== "",
      followProblem: programProblem(settings.followPrimaryCommand),
      demote,
    },
    drainTimeoutMs: config.switchover_drain_timeout,
  });
  const isReady = checks.every(({ result }) => result !== "refused");
  return { isReady, fromId: primaryId, toId: targetId, checks };
}

/** What speaks against it, in one line; null when nothing does. */
export function refusalIn({ isReady, checks }: SwitchoverReport): string | null {
  if (isReady) return null;
  const refused = checks.filter(({ result }) => result === "refused");
  return refused.map(({ name, found }) => `${name}: ${found}`).join("; ");
}

/** The wish as the leader gets it. */
export function switchoverRequest(
  config: Config,
  wish: {
    readonly id: string;
    readonly toId: number;
    readonly drainTimeoutMs: number | null;
    readonly onTimeout: SwitchoverWish["onTimeout"] | null;
    readonly reason: string;
    readonly by: string;
  },
): ClusterRequest {
  const { id, toId, reason, by } = wish;
  const drainTimeoutMs = wish.drainTimeoutMs ?? config.switchover_drain_timeout;
  const onTimeout = wish.onTimeout ?? config.switchover_on_drain_timeout;
  const switchover = { id, drainTimeoutMs, onTimeout };
  const plain = { kind: "switchover", confirmed: true, switchoverTo: null } as const;
  return { ...plain, backendIds: [toId], reason, by, switchover };
}

function stateOf(view: ClusterView, id: number): "waiting" | "up" | "down" {
  const state = view.backends.find((backend) => backend.id === id)?.state;
  return state === "waiting" || state === "up" ? state : "down";
}

function clusterFacts({ config, cluster, watchdog }: SwitchoverQuestion): SwitchoverClusterFacts {
  const { intent, followingIds, recovery } = cluster;
  const recoveringId = recovery?.backendId ?? null;
  const isStreaming = config.backend_clustering_mode === "streaming_replication";
  if (!config.use_watchdog) {
    const leader = "this node decides alone, without a watchdog";
    return { isStreaming, leaderProblem: null, leader, intent, followingIds, recoveringId };
  }
  const leader = watchdog?.nodes.find(({ id }) => id === watchdog.leaderId) ?? null;
  const leaderProblem =
    watchdog?.hasQuorum !== true
      ? "there is no quorum of the watchdog cluster"
      : leader === null
        ? "no leader is known"
        : null;
  const name = leader === null ? "nobody" : `node ${leader.id} (${leader.hostname})`;
  const leads = { isStreaming, leaderProblem, leader: `${name} leads` };
  return { ...leads, intent, followingIds, recoveringId };
}
