/** The state in which an intent ends, and whether it reached what it was for. */
import {
  hasFailed,
  liveIds,
  withBackends,
  withHistory,
  type ClusterState,
  type HistoryEntry,
} from "../status/index.ts";
import type { Task, Turn } from "./conductor-state.ts";
import { commandFailure, followDetachText } from "./wording.ts";

/** The state when all is done: intent cleared, history written, followers set down if asked for. */
export function finishedState(turn: Turn, cluster: ClusterState, task: Task): ClusterState {
  const { intent, found } = task;
  const { settings } = turn.state;
  const primaryId = newPrimaryId(cluster, task);
  const base = withHistory(
    {
      ...cluster,
      epoch: cluster.epoch + 1,
      primaryId,
      identity: found?.identity ?? cluster.identity,
      intent: null,
      follow: intent.primaryChanges ? null : cluster.follow,
    },
    entryOf(turn, cluster, task, primaryId),
  );
  const hasFollowers = intent.primaryChanges && primaryId !== null;
  const isAsked = settings.followPrimaryCommand !== "" || intent.kind === "promote";
  return hasFollowers && isAsked ? withFollowers(turn, base, task, primaryId) : base;
}

function newPrimaryId(cluster: ClusterState, { intent, found }: Task): number | null {
  if (!intent.primaryChanges) return cluster.primaryId;
  return intent.kind === "promote" ? intent.newMainId : (found?.primaryId ?? null);
}

/** What the history says of it. */
export function entryOf(
  turn: Turn,
  cluster: ClusterState,
  { intent, progress }: Task,
  primaryId: number | null,
): HistoryEntry {
  const wanted = intent.primaryChanges && liveIds(cluster).length > 0;
  const isFailed = turn.state.settings.isStreaming && wanted && primaryId === null;
  const failures = progress.commands.filter(hasFailed);
  const problems = failures.slice(-1).map((command) => commandFailure(command)?.message ?? "");
  if (isFailed) problems.push("no new primary was found");
  else if (intent.choice !== null && intent.choice.doubt !== "")
    problems.push(lossText(intent.choice.doubt));
  return {
    epoch: intent.firstEpoch,
    lastEpoch: cluster.epoch + 1,
    eventId: intent.eventId,
    revision: 0,
    kind: intent.kind,
    backendIds: intent.backendIds,
    reason: intent.reason,
    by: intent.by,
    outcome: isFailed ? "failed" : "done",
    problem: problems.join("; "),
    oldPrimaryId: intent.oldPrimaryId,
    newPrimaryId: primaryId,
    startedAt: intent.startedAt,
    endedAt: turn.wallMs,
    votes: intent.votes,
    steps: progress.steps,
    commands: progress.commands,
  };
}

function lossText(doubt: string): string {
  return `commits that clients were told of may be missing: ${doubt}`;
}

/**
 * Every server but the new primary is set down; the command runs for each, at last for those that
 * were down before, and brings them back by attaching them. After a switchover, which lost nothing,
 * standbys serve on: what they have is as good as before.
 */
function withFollowers(
  turn: Turn,
  cluster: ClusterState,
  { intent }: Task,
  primaryId: number,
): ClusterState {
  const { settings } = turn.state;
  const isSwitchover = intent.kind === "switchover";
  const liveFollowerIds = isSwitchover ? [] : liveIds(cluster).filter((id) => id !== primaryId);
  for (const id of liveFollowerIds) turn.log(followDetachText(settings, id));
  const reason = `has to follow the new primary ${primaryId}`;
  const changedAt = turn.wallMs;
  const down = withBackends(cluster, liveFollowerIds, { state: "down", reason, changedAt });
  const remainingIds = followersOf(cluster, primaryId, intent.oldPrimaryId);
  if (settings.followPrimaryCommand === "" || remainingIds.length === 0) return down;
  const { epoch, eventId, oldPrimaryId, oldMainId } = intent;
  return {
    ...down,
    follow: { epoch, eventId, oldPrimaryId, oldMainId, remainingIds, isSwitchover },
  };
}

/**
 * Those that run come first: commits may wait for them. The others have to be started or made
 * anew, which may take long, or hang; the old primary comes last.
 */
function followersOf(
  cluster: ClusterState,
  primaryId: number,
  oldPrimaryId: number | null,
): readonly number[] {
  const live = liveIds(cluster);
  const rank = (id: number): number => (id === oldPrimaryId ? 2 : live.includes(id) ? 0 : 1);
  return cluster.backends
    .map(({ id }) => id)
    .filter((id) => id !== primaryId)
    .toSorted((one, other) => rank(one) - rank(other));
}
